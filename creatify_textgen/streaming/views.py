"""The endpoints of streams: create and stream, attach or resume, get a ticket.

Authentication, permissions and throttling are DRF's and so the host's; bytes of frames are not.
Invariant: no database connection is held while a stream is read, unless CONN_MAX_AGE keeps it for
the thread.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from creatify_textgen.exceptions import RequestError
from creatify_textgen.http.policy import Endpoint
from creatify_textgen.hub import ERROR, START, Position
from creatify_textgen.models import Generation
from creatify_textgen.services.intake import read_body
from creatify_textgen.services.streaming import begin_or_repeat, first_frame
from creatify_textgen.streaming.errors import refusal
from creatify_textgen.streaming.limits import Slot, reader_slots
from creatify_textgen.streaming.readers import AsyncReader, SyncReader
from creatify_textgen.streaming.tickets import LIFETIME_SECONDS, TicketAuthentication, make_ticket

__all__ = ["AttachView", "StreamView", "TicketView"]

FIRST_FRAME_SECONDS = 17.0
"""How long a create waits for the first frame, so that an error can still have its status: longer
than a stream may wait for a worker."""
HAS_ALL = "end"
"""The id of the end frame: who has it lacks nothing."""
HEADERS = {
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
    # GZipMiddleware leaves alone what says that it is encoded; "identity" means not at all.
    "Content-Encoding": "identity",
    "X-Content-Type-Options": "nosniff",
}


class StreamEndpoint(Endpoint):
    """What every view of this door is."""

    def _find(self, request: Request, generation_id: UUID) -> Generation:
        """Return a row whose content the caller may read; others' rows answer 404."""
        visible = Generation.objects.visible_to(request.user)
        generation = get_object_or_404(visible, pk=generation_id)
        user: Any = request.user
        if generation.owner_id != user.pk and not user.has_perm("creatify_textgen.view_content"):
            raise PermissionDenied("You may see this generation, but not its content.")
        return generation


class StreamView(StreamEndpoint):
    """`POST generations/stream/`: create a generation and stream it."""

    def post(self, request: Request) -> HttpResponseBase:
        fields = read_body(request.data)
        fields.pop("sync", None)
        slot = reader_slots.take(request.user.pk)
        try:
            return self._begin(request, fields, slot=slot)
        except BaseException:
            slot.release()
            raise

    def _begin(self, request: Request, fields: dict[str, Any], *, slot: Slot) -> HttpResponseBase:
        key = request.headers.get("Idempotency-Key")
        written = request.headers.get("Last-Event-ID", "")
        after = _place(written)
        generation, is_new = begin_or_repeat(**fields, owner=request.user, idempotency_key=key)
        if written and not is_new:  # a reader who comes again, as by an attach
            if after is not None:
                return _stream(request, generation, after=after, slot=slot)
            slot.release()
            return _nothing_more()
        _let_connections_go(request)
        frame = first_frame(generation, seconds=FIRST_FRAME_SECONDS)
        if frame is None or frame.event != ERROR:
            return _stream(request, generation, after=START, slot=slot)
        slot.release()
        return refusal(frame, generation)


class AttachView(StreamEndpoint):
    """`GET generations/{id}/stream/`: attach to a stream, or resume it."""

    def get_authenticators(self) -> list[BaseAuthentication]:
        return [TicketAuthentication(), *super().get_authenticators()]

    def get(self, request: Request, generation_id: UUID) -> HttpResponseBase:
        generation = self._find(request, generation_id)
        written = request.headers.get("Last-Event-ID") or request.query_params.get("after") or ""
        after = _place(written)
        if after is None:
            return _nothing_more()
        slot = reader_slots.take(request.user.pk)
        return _stream(request, generation, after=after, slot=slot)


class TicketView(StreamEndpoint):
    """`POST generations/{id}/ticket/`: a short-lived URL for EventSource."""

    def post(self, request: Request, generation_id: UUID) -> Response:
        ticket = make_ticket(self._find(request, generation_id), request.user)
        path = self.path_to("generation-attach", generation_id)
        body = {
            "ticket": ticket,
            "url": f"{path}?{urlencode({'ticket': ticket})}",
            "expires_in": LIFETIME_SECONDS,
        }
        return Response(body, status=201, headers={"Cache-Control": "no-store"})


def _stream(
    request: Request, generation: Generation, *, after: Position, slot: Slot
) -> StreamingHttpResponse:
    reader_class = AsyncReader if isinstance(request._request, ASGIRequest) else SyncReader
    reader = reader_class(generation.pk, after=after, slot=slot)
    _let_connections_go(request)
    response = StreamingHttpResponse(reader, content_type="text/event-stream", headers=HEADERS)
    response["X-Generation-Id"] = str(generation.pk)
    return response


def _nothing_more() -> HttpResponse:
    # An EventSource reconnects for ever unless it is told 204.
    return HttpResponse(status=204)


def _place(written: str) -> Position | None:
    """Return where a reader is, or None where it has all."""
    written = written.strip()
    if written == HAS_ALL:
        return None
    try:
        return Position.parse(written) if written else START
    except ValueError:
        text = "Is not an id of a frame of ours."
        raise RequestError(f"Last-Event-ID: {text}", errors={"Last-Event-ID": [text]}) from None


def _let_connections_go(request: Request) -> None:
    """Close this thread's database connections, which would idle as long as the stream lasts.

    Under WSGI the host's CONN_MAX_AGE may keep one: no more than there are threads, as ever.
    """
    is_own_thread = isinstance(request._request, ASGIRequest)
    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block:
            continue
        if is_own_thread:
            connection.close()
        else:
            connection.close_if_unusable_or_obsolete()
