"""Generations, media and credits in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import IntegerField
from drf_spectacular.extensions import OpenApiViewExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from creatify_textgen.rest.openapi.answers import (
    BODY,
    IDEMPOTENCY,
    REFUSALS,
    REMOTE,
    answers,
    documented,
    name_component,
)
from creatify_textgen.rest.openapi.shapes import (
    CREATION,
    CREDITS,
    ESTIMATE,
    LINE,
    MODEL,
    SETTLEMENT,
    UPLOAD,
)
from creatify_textgen.rest.pagination import ORDERINGS
from creatify_textgen.rest.serializers import GenerationSerializer, MediaSerializer

__all__ = [
    "CreditsDocument",
    "EstimateDocument",
    "GenerationsDocument",
    "MediaDocument",
    "ModelsDocument",
]

name_component(GenerationSerializer, "TextgenGeneration")
name_component(MediaSerializer, "TextgenMedia")

NEWEST = "Newest first by default. By `updated_at` only within the rows of one owner."
ORDERING = OpenApiParameter("ordering", OpenApiTypes.STR, enum=tuple(ORDERINGS), description=NEWEST)

WORDS = (
    OpenApiParameter("account", {**LINE, "maxLength": 64}),
    OpenApiParameter("model_name", {**LINE, "maxLength": 255}),
    OpenApiParameter(
        "search",
        {**LINE, "maxLength": 200},
        description="An id or a remote id, or a part of the model or of the user's own prompts.",
    ),
)


RANGE = OpenApiParameter(
    "Range",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="One range of bytes, such as `bytes=0-1023`.",
)
NO_RANGE = OpenApiResponse(description=REFUSALS[416])


def _user_key() -> OpenApiTypes:
    # The host chooses the user model, and with it the type of keys.
    is_number = isinstance(get_user_model()._meta.pk, IntegerField)
    return OpenApiTypes.INT if is_number else OpenApiTypes.STR


class GenerationsDocument(OpenApiViewExtension):  # type: ignore[no-untyped-call]
    target_class: Any = "creatify_textgen.rest.viewsets.GenerationViewSet"

    def view_replacement(self) -> Any:
        one = GenerationSerializer
        return documented(
            self.target_class,
            # The other filters are read from the filter set by drf-spectacular.
            list=extend_schema(
                parameters=[ORDERING, *WORDS], responses=answers(400, 404, ok_200=one)
            ),
            create=extend_schema(
                request={"application/json": CREATION},
                parameters=[IDEMPOTENCY],
                responses=answers(*BODY, *REMOTE, 409, ok_201=one, ok_202=one),
            ),
            retrieve=extend_schema(responses=answers(404, ok_200=one)),
            refresh=extend_schema(
                request=None, responses=answers(404, 409, 411, *REMOTE, ok_200=one)
            ),
            retry=extend_schema(
                request=None, responses=answers(400, 402, 404, 409, 411, ok_202=one)
            ),
            cancel=extend_schema(request=None, responses=answers(404, 409, 411, ok_200=one)),
            stop=extend_schema(request=None, responses=answers(404, 409, 411, ok_200=one)),
            settle=extend_schema(
                request={"application/json": SETTLEMENT},
                responses=answers(*BODY, *REMOTE, 404, 409, ok_200=one),
            ),
            # 411 for each method that may have a body, also if it reads none.
            destroy=extend_schema(responses={204: None, **answers(404, 409, 411)}),
        )


class MediaDocument(OpenApiViewExtension):  # type: ignore[no-untyped-call]
    target_class: Any = "creatify_textgen.rest.viewsets.MediaViewSet"

    def view_replacement(self) -> Any:
        # 206 for a range of it.
        file = {
            (status, kind): OpenApiTypes.BINARY
            for status in (200, 206)
            for kind in ("image/*", "video/*")
        }
        return documented(
            self.target_class,
            create=extend_schema(
                request={"multipart/form-data": UPLOAD},
                responses=answers(*BODY, 402, ok_201=MediaSerializer),
            ),
            retrieve=extend_schema(
                parameters=[RANGE], responses={**file, **answers(404, 410), 416: NO_RANGE}
            ),
        )


class CreditsDocument(OpenApiViewExtension):  # type: ignore[no-untyped-call]
    target_class: Any = "creatify_textgen.rest.viewsets.CreditsView"

    def view_replacement(self) -> Any:
        everybody = OpenApiParameter(
            "all", OpenApiTypes.BOOL, description="The credits of everybody; only for staff."
        )
        owner = OpenApiParameter(
            "owner",
            _user_key(),
            description="The credits of the user with this key; only for staff.",
        )
        others = [
            OpenApiParameter("account", LINE, description="One workspace; by default `default`."),
            OpenApiParameter("all_accounts", OpenApiTypes.BOOL, description="All workspaces."),
            OpenApiParameter(
                "by_owner", OpenApiTypes.BOOL, description="Sums by user; only for staff."
            ),
            OpenApiParameter("since", OpenApiTypes.DATE, description="From this day on (UTC)."),
            OpenApiParameter("until", OpenApiTypes.DATE, description="Up to this day (UTC)."),
        ]
        get = extend_schema(
            parameters=[everybody, owner, *others], responses=answers(400, 404, ok_200=CREDITS)
        )
        return documented(self.target_class, get=get)


class EstimateDocument(OpenApiViewExtension):  # type: ignore[no-untyped-call]
    target_class: Any = "creatify_textgen.rest.viewsets.EstimateView"

    def view_replacement(self) -> Any:
        asked = OpenApiParameter(
            "model_name", {**LINE, "maxLength": 255}, description="By default the default model."
        )
        get = extend_schema(parameters=[asked], responses=answers(400, ok_200=ESTIMATE))
        return documented(self.target_class, get=get)


class ModelsDocument(OpenApiViewExtension):  # type: ignore[no-untyped-call]
    target_class: Any = "creatify_textgen.rest.viewsets.ModelsView"

    def view_replacement(self) -> Any:
        models = {"type": "array", "items": MODEL}
        return documented(self.target_class, get=extend_schema(responses=answers(ok_200=models)))
