"""Runs in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiViewExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from creatify_textgen.rest.openapi.answers import (
    BODY,
    IDEMPOTENCY,
    REMOTE,
    answers,
    documented,
    name_component,
)
from creatify_textgen.rest.openapi.shapes import ADDITION, FRAME, REJECTION
from creatify_textgen.rest.openapi.streams import FORMAT
from creatify_textgen.rest.runs import CallSerializer, RunPages, RunSerializer

__all__ = ["ConversationRunDocument", "RunsDocument"]

name_component(RunSerializer, "TextgenRun")
name_component(CallSerializer, "TextgenCall")

ORDERING = OpenApiParameter(
    "ordering",
    OpenApiTypes.STR,
    enum=tuple(RunPages.orderings),
    description="Newest first by default.",
)
MESSAGE = {
    (200, "text/event-stream"): OpenApiResponse(
        FRAME, description="With `format`: all steps, and the results between them."
    )
}
CALL = OpenApiParameter("call_id", OpenApiTypes.UUID, OpenApiParameter.PATH)


class RunsDocument(OpenApiViewExtension):  # type: ignore[no-untyped-call]
    target_class: Any = "creatify_textgen.rest.runs.RunViewSet"

    def view_replacement(self) -> Any:
        one = RunSerializer
        changed = answers(404, 409, 411, ok_200=one)
        return documented(
            self.target_class,
            list=extend_schema(parameters=[ORDERING], responses=answers(400, 404, ok_200=one)),
            retrieve=extend_schema(responses=answers(404, ok_200=one)),
            stop=extend_schema(request=None, responses=changed),
            approve=extend_schema(parameters=[CALL], request=None, responses=changed),
            reject=extend_schema(
                parameters=[CALL],
                request={"application/json": REJECTION},
                responses=answers(404, 409, *BODY, ok_200=one),
            ),
        )


class ConversationRunDocument(OpenApiViewExtension):  # type: ignore[no-untyped-call]
    target_class: Any = "creatify_textgen.rest.runs.ConversationRunView"
    # The only view that hosts put into their own URLs, so the only one that they may subclass.
    match_subclasses = True

    def view_replacement(self) -> Any:
        post = extend_schema(
            request={"application/json": ADDITION},
            parameters=[IDEMPOTENCY, FORMAT],
            responses={**MESSAGE, **answers(404, 409, *BODY, *REMOTE, ok_202=RunSerializer)},
        )
        return documented(self.target_class, post=post)
