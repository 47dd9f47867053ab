"""The endpoints of generations, media and credits. Each: parse, one call, render.

Invariant: a row reaches a caller through `visible_to`, so others' rows answer 404.
"""

from __future__ import annotations

from uuid import UUID

from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet, ViewSet

from creatify_textgen import services
from creatify_textgen.exceptions import RequestError
from creatify_textgen.http.parsers import UploadParser
from creatify_textgen.http.permissions import is_staff_with
from creatify_textgen.http.policy import Endpoint
from creatify_textgen.models import Generation, GenerationQuerySet, Media
from creatify_textgen.rest.filters import CreditsQuery, GenerationFilters
from creatify_textgen.rest.media_streams import stream_media
from creatify_textgen.rest.pagination import GenerationPages
from creatify_textgen.rest.serializers import (
    GenerationSerializer,
    MediaSerializer,
    represent_credits,
)
from creatify_textgen.services.intake import read_body
from creatify_textgen.services.media import get_media_for

__all__ = ["CreditsView", "GenerationViewSet", "MediaViewSet"]


FILE_MISSING = "Send the image or video as a file in this field of a multipart form."


class GenerationViewSet(Endpoint, GenericViewSet[Generation]):
    """Create generations, look at them and act on them."""

    queryset = Generation.objects.none()
    serializer_class = GenerationSerializer
    pagination_class = GenerationPages
    filter_backends = [DjangoFilterBackend]
    filterset_class = GenerationFilters
    lookup_url_kwarg = "generation_id"

    def get_queryset(self) -> GenerationQuerySet:
        visible = Generation.objects.visible_to(self.request.user).select_related("content")
        # Neither is shown, and thoughts may be longer than the answer.
        return visible.defer("content__response_thoughts", "content__citations")

    def get_object(self) -> Generation:
        found = get_object_or_404(self.get_queryset(), pk=self.kwargs["generation_id"])
        self.check_object_permissions(self.request, found)
        return found

    def create(self, request: Request) -> Response:
        fields = read_body(request.data)
        waits = fields.pop("sync", False)
        ask = services.generate if waits else services.submit
        generation = ask(
            **fields,
            owner=request.user,
            idempotency_key=request.headers.get("Idempotency-Key"),
        )
        if waits and generation.is_final:
            return self._show(generation, status=status.HTTP_201_CREATED)
        return self._show(generation, status=status.HTTP_202_ACCEPTED)

    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def retrieve(self, request: Request, generation_id: UUID) -> Response:
        return self._show(self.get_object())

    @action(detail=True, methods=["post"])
    def refresh(self, request: Request, generation_id: UUID) -> Response:
        return self._show(services.refresh(self.get_object()))

    @action(detail=True, methods=["post"])
    def retry(self, request: Request, generation_id: UUID) -> Response:
        generation = services.retry(
            self.get_object(), idempotency_key=request.headers.get("Idempotency-Key")
        )
        return self._show(generation, status=status.HTTP_202_ACCEPTED)

    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, generation_id: UUID) -> Response:
        return self._show(services.cancel(self.get_object()))

    def _show(self, generation: Generation, *, status: int = status.HTTP_200_OK) -> Response:
        headers = {}
        if status != 200:
            headers["Location"] = self.path_to("generation-detail", generation.pk)
        return Response(self.get_serializer(generation).data, status=status, headers=headers)


class MediaViewSet(Endpoint, ViewSet):
    """Upload images and videos, and show them to those who may see them."""

    parser_classes = [UploadParser]

    def create(self, request: Request) -> Response:
        upload = request.FILES.get("file")
        if upload is None:
            raise RequestError(f"file: {FILE_MISSING}", errors={"file": [FILE_MISSING]})
        media = services.store_media(upload, owner=request.user, mime_type=upload.content_type)
        headers = {"Location": self.path_to("media-detail", media.pk)}
        body = MediaSerializer(media).data
        return Response(body, status=status.HTTP_201_CREATED, headers=headers)

    def retrieve(self, request: Request, media_id: UUID) -> StreamingHttpResponse:
        if is_staff_with(request.user, "view_content"):
            media = get_object_or_404(Media, pk=media_id)
        else:
            media = get_media_for(request.user, media_id)
        return stream_media(request._request, media, services.open_media(media))


class CreditsView(Endpoint):
    """What is left and what was used: by the caller, or by all for staff who ask."""

    def get(self, request: Request) -> Response:
        query = CreditsQuery.of(request)
        report = services.credits(owner=query.owner, since=query.since)
        return Response(represent_credits(report))
