"""The endpoints of generations, media and credits. Each one parses, makes one call and renders.

Invariant: rows are read through `visible_to`, so the rows of other users answer 404.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from django.http import Http404, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet, ViewSet

from creatify_textgen import services
from creatify_textgen.exceptions import RequestError
from creatify_textgen.http.files import answer_file
from creatify_textgen.http.parsers import UploadParser
from creatify_textgen.http.permissions import MaySettle
from creatify_textgen.http.policy import Endpoint, KindOfCall
from creatify_textgen.intake import read_body
from creatify_textgen.intake.media import get_media_for, is_erased
from creatify_textgen.models import Generation, GenerationQuerySet, Media
from creatify_textgen.permissions import has_permission, is_staff_with
from creatify_textgen.rest.filters import (
    GenerationFilters,
    HistoryFilter,
    check_account,
    latest_since,
    read_credits_query,
    read_model_name,
)
from creatify_textgen.rest.pagination import GenerationPages
from creatify_textgen.rest.serializers import (
    GenerationSerializer,
    MediaSerializer,
    represent_credits,
    represent_estimate,
    represent_model,
)
from creatify_textgen.rest.settlement import read_settlement
from creatify_textgen.services.credits import UsageScope

__all__ = ["CreditsView", "EstimateView", "GenerationViewSet", "MediaViewSet", "ModelsView"]


class GenerationViewSet(Endpoint, GenericViewSet[Generation]):
    """Create generations, read them, and refresh, retry, cancel, stop, settle or delete them."""

    http_method_names = [*Endpoint.http_method_names, "delete"]
    permission_classes = [*Endpoint.permission_classes, MaySettle]

    serializer_class = GenerationSerializer
    pagination_class = GenerationPages
    filter_backends = [HistoryFilter]
    filterset_class = GenerationFilters
    lookup_url_kwarg = "generation_id"

    @property
    def kind_of_call(self) -> KindOfCall:  # type: ignore[override]
        """Whether this action spends credits, asks the remote, or does neither."""
        if self.action in ("create", "retry"):
            return "create"
        return "refresh" if self.action in ("refresh", "settle") else "read"

    def get_queryset(self) -> GenerationQuerySet:
        visible = Generation.objects.visible_to(self.request.user).select_related("content")
        # The response contains neither, and thoughts may be longer than the answer.
        return visible.defer("content__response_thoughts", "content__citations")

    def get_object(self) -> Generation:
        # Without the filters of the list, which DRF would apply: `?status=done` would answer 404.
        found = get_object_or_404(self.get_queryset(), pk=self.kwargs["generation_id"])
        self.check_object_permissions(self.request, found)
        return found

    def create(self, request: Request) -> Response:
        fields = read_body(request.data)
        check_account(fields.get("account", "default"))
        waits = fields.pop("sync", False)
        ask = services.generate if waits else services.submit
        generation = ask(
            **fields,
            owner=request.user,
            idempotency_key=request.headers.get("Idempotency-Key"),
        )
        # If the time ran out, the generation continues, and the client reads it later.
        if waits and generation.is_final:
            return self._show(generation, status=status.HTTP_201_CREATED)
        return self._show(generation, status=status.HTTP_202_ACCEPTED)

    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        self._record(page or [])
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def retrieve(self, request: Request, generation_id: UUID) -> Response:
        return self._show(self.get_object())

    def _record(self, generations: Sequence[Generation]) -> None:
        # Before the answer is rendered: what cannot be noted is not shown.
        if is_staff_with(self.request.user, "view_content"):
            services.record_reads(generations, by=self.request.user, where="the REST API")

    @action(detail=True, methods=["post"])
    def refresh(self, request: Request, generation_id: UUID) -> Response:
        return self._show(services.refresh(self.get_object(), user=request.user))

    @action(detail=True, methods=["post"])
    def retry(self, request: Request, generation_id: UUID) -> Response:
        generation = services.retry(
            self.get_object(), idempotency_key=request.headers.get("Idempotency-Key")
        )
        return self._show(generation, status=status.HTTP_202_ACCEPTED)

    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, generation_id: UUID) -> Response:
        return self._show(services.cancel(self.get_object()))

    @action(detail=True, methods=["post"])
    def stop(self, request: Request, generation_id: UUID) -> Response:
        return self._show(services.stop(self.get_object()))

    @action(detail=True, methods=["post"])
    def settle(self, request: Request, generation_id: UUID) -> Response:
        generation = self.get_object()
        decision = read_settlement(request.data)
        return self._show(services.settle(generation, **decision, by=request.user))

    def destroy(self, request: Request, generation_id: UUID) -> Response:
        generation = self.get_object()
        # `MayOperate` is not enough: staff with that permission may act on rows, not delete them.
        if generation.owner_id != request.user.pk:
            raise PermissionDenied(
                _("Only its owner can delete a generation here; staff use the admin.")
            )
        services.delete(generation)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _show(self, generation: Generation, *, status: int = status.HTTP_200_OK) -> Response:
        self._record([generation])
        headers = {}
        if status != 200:
            headers["Location"] = self.path_to("generation-detail", generation.pk)
        return Response(self.get_serializer(generation).data, status=status, headers=headers)


class MediaViewSet(Endpoint, ViewSet):
    """Upload images and videos, and return them to those who may see them."""

    parser_classes = [UploadParser]
    queryset = Media.objects.none()

    @property
    def kind_of_call(self) -> KindOfCall:  # type: ignore[override]
        """Whether this action stores a file."""
        return "upload" if self.action == "create" else "read"

    def create(self, request: Request) -> Response:
        upload = request.FILES.get("file")
        if upload is None:
            rule = _("Send the image or video as a file in this field of a multipart form.")
            raise RequestError.about("file", rule)
        media = services.store_media(upload, owner=request.user, mime_type=upload.content_type)
        headers = {"Location": self.path_to("media-detail", media.pk)}
        body = MediaSerializer(media).data
        return Response(body, status=status.HTTP_201_CREATED, headers=headers)

    def retrieve(self, request: Request, media_id: UUID) -> HttpResponseBase:
        if is_staff_with(request.user, "view_content"):
            media = get_object_or_404(Media, pk=media_id)
        else:
            media = get_media_for(request.user, media_id)
        if is_erased(media):
            raise Http404
        return answer_file(request._request, media, services.open_media(media))


class CreditsView(Endpoint):
    """What is left and what was used, by the user or (for staff) by everybody."""

    def get(self, request: Request) -> Response:
        query = read_credits_query(request)
        # The balance is of the whole workspace: it shows what other users spend.
        may_see_balance = has_permission(request.user, "creatify_textgen.view_credits")
        report = services.credits(**query, with_balance=may_see_balance)
        scope = UsageScope(query["account"], query["owner"], latest_since(query), query["until"])
        by_owner = query.get("by_owner", False)
        return Response(represent_credits(report, scope.latest(), by_owner=by_owner))


class EstimateView(Endpoint):
    """What a generation of a model costs here, as far as this site has learned it."""

    def get(self, request: Request) -> Response:
        return Response(represent_estimate(services.estimate(read_model_name(request))))


class ModelsView(Endpoint):
    """The models that a user may choose, and what is known of each."""

    def get(self, request: Request) -> Response:
        # A day of the vendor's calendar. The database's clock would cost a query and be no better.
        today = datetime.now(tz=UTC).date()
        facts = services.known_models()
        return Response([represent_model(one, today=today) for one in facts])
