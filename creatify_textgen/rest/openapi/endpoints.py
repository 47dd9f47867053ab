"""Generations, media and credits in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import IntegerField
from drf_spectacular.extensions import OpenApiViewExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema

from creatify_textgen.rest.openapi.answers import BODY, IDEMPOTENCY, REMOTE, answers, documented
from creatify_textgen.rest.openapi.shapes import CREATION, CREDITS, LINE, UPLOAD
from creatify_textgen.rest.pagination import ORDERINGS
from creatify_textgen.rest.serializers import GenerationSerializer, MediaSerializer

__all__ = ["CreditsDocument", "GenerationsDocument", "MediaDocument"]

ORDERING = OpenApiParameter(
    "ordering", OpenApiTypes.STR, enum=tuple(ORDERINGS), description="Newest first by default."
)

WORDS = (
    OpenApiParameter("model_name", {**LINE, "maxLength": 255}),
    OpenApiParameter(
        "search",
        {**LINE, "maxLength": 200},
        description="In the model, the ids and the beginning of the caller's own prompts.",
    ),
)


def _user_key() -> OpenApiTypes:
    is_number = isinstance(get_user_model()._meta.pk, IntegerField)
    return OpenApiTypes.INT if is_number else OpenApiTypes.STR


class GenerationsDocument(OpenApiViewExtension):  # type: ignore[no-untyped-call]
    target_class: Any = "creatify_textgen.rest.viewsets.GenerationViewSet"

    def view_replacement(self) -> Any:
        one = GenerationSerializer
        return documented(
            self.target_class,
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
            retry=extend_schema(request=None, responses=answers(400, 404, 409, 411, ok_202=one)),
            cancel=extend_schema(request=None, responses=answers(404, 409, 411, ok_200=one)),
        )


class MediaDocument(OpenApiViewExtension):  # type: ignore[no-untyped-call]
    target_class: Any = "creatify_textgen.rest.viewsets.MediaViewSet"

    def view_replacement(self) -> Any:
        file = {(200, "image/*"): OpenApiTypes.BINARY, (200, "video/*"): OpenApiTypes.BINARY}
        return documented(
            self.target_class,
            create=extend_schema(
                request={"multipart/form-data": UPLOAD},
                responses=answers(*BODY, ok_201=MediaSerializer),
            ),
            retrieve=extend_schema(responses={**file, **answers(404)}),
        )


class CreditsDocument(OpenApiViewExtension):  # type: ignore[no-untyped-call]
    target_class: Any = "creatify_textgen.rest.viewsets.CreditsView"

    def view_replacement(self) -> Any:
        everybody = OpenApiParameter(
            "all", OpenApiTypes.BOOL, description="Of everybody; for staff."
        )
        owner = OpenApiParameter(
            "owner", _user_key(), description="Of the user with this key; for staff."
        )
        since = OpenApiParameter("since", OpenApiTypes.DATE, description="From this day on (UTC).")
        get = extend_schema(
            parameters=[everybody, owner, since], responses=answers(400, 404, ok_200=CREDITS)
        )
        return documented(self.target_class, get=get)
