"""Streams in the OpenAPI document, named by path, for one door imports no other."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiViewExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from creatify_textgen.rest.openapi.answers import BODY, IDEMPOTENCY, REMOTE, answers, documented
from creatify_textgen.rest.openapi.shapes import CREATION, FRAME, TICKET

__all__ = ["AttachDocument", "StreamDocument", "TicketDocument", "TicketScheme"]

FRAMES = {
    (200, "text/event-stream"): OpenApiResponse(
        FRAME, description="The remote's chunks, then `event: end` with the status."
    )
}
LAST_EVENT_ID = OpenApiParameter(
    "Last-Event-ID",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="The id of the last frame that was read; what follows it is sent.",
)
AFTER = OpenApiParameter("after", OpenApiTypes.STR, description="The same, where headers can't.")


class StreamDocument(OpenApiViewExtension):  # type: ignore[no-untyped-call]
    target_class: Any = "creatify_textgen.streaming.views.StreamView"

    def view_replacement(self) -> Any:
        post = extend_schema(
            operation_id="generations_stream_create",
            request={"application/json": CREATION},
            parameters=[IDEMPOTENCY],
            responses={**FRAMES, **answers(*BODY, *REMOTE, 409)},
        )
        return documented(self.target_class, post=post)


class AttachDocument(OpenApiViewExtension):  # type: ignore[no-untyped-call]
    target_class: Any = "creatify_textgen.streaming.views.AttachView"

    def view_replacement(self) -> Any:
        finished = OpenApiResponse(description="Everything was read.")
        get = extend_schema(
            operation_id="generations_stream_retrieve",
            parameters=[LAST_EVENT_ID, AFTER],
            responses={**FRAMES, 204: finished, **answers(400, 404, 503)},
        )
        return documented(self.target_class, get=get)


class TicketDocument(OpenApiViewExtension):  # type: ignore[no-untyped-call]
    target_class: Any = "creatify_textgen.streaming.views.TicketView"

    def view_replacement(self) -> Any:
        post = extend_schema(request=None, responses=answers(404, ok_201=TICKET))
        return documented(self.target_class, post=post)


class TicketScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class: Any = "creatify_textgen.streaming.tickets.TicketAuthentication"
    name = "streamTicket"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "query", "name": "ticket"}
