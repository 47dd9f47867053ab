"""The endpoints of streams: create and stream, attach or resume, get a ticket.

DRF does authentication, permissions and throttling, as the host has set them; it does not render
frames. Invariant: no database connection is held while a stream is read, unless the host's
CONN_MAX_AGE keeps one for the thread.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from creatify_textgen import databases, services
from creatify_textgen.exceptions import RequestError
from creatify_textgen.http.policy import Endpoint
from creatify_textgen.http.tickets import (
    LIFETIME_SECONDS,
    TicketAuthentication,
    make_ticket,
)
from creatify_textgen.intake import read_body
from creatify_textgen.models import Generation
from creatify_textgen.permissions import is_staff_with
from creatify_textgen.rest.filters import check_account
from creatify_textgen.rest.streaming.errors import refusal
from creatify_textgen.rest.streaming.formats import (
    OF_GENERATION,
    Frames,
    NamedFrames,
    Renderer,
    wants_ui_messages,
)
from creatify_textgen.rest.streaming.limits import Slot, reader_slots
from creatify_textgen.rest.streaming.readers import AsyncReader, SyncReader
from creatify_textgen.rest.streaming.ui_messages import UIMessages
from creatify_textgen.rest.streaming.ui_requests import ChatRequest, is_chat, read_chat
from creatify_textgen.states import Status
from creatify_textgen.streams import get_or_begin_stream
from creatify_textgen.streams.first_frame import first_frame
from creatify_textgen.streams.hub import ERROR, START, Position

__all__ = [
    "EVENT_STREAM",
    "HEADERS",
    "AttachView",
    "StreamView",
    "TicketView",
    "let_connections_go",
    "nothing_more",
    "respond",
]

FIRST_FRAME_SECONDS = 17.0
"""How long a create waits for the first frame, so that an error can have its own HTTP status.
Longer than a stream may wait for a worker."""
EVENT_STREAM = "text/event-stream"
HAS_ALL = "end"
"""The id of the end frame: a client that has it lacks nothing."""
HEADERS = {
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
    # GZipMiddleware skips responses that have an encoding; it would hold frames back. "identity"
    # means: not encoded (RFC 9110, 8.4).
    "Content-Encoding": "identity",
    "X-Content-Type-Options": "nosniff",
}


Begin = Callable[[], tuple[Generation, bool]]
"""Begins a stream, or finds the one of the idempotency key; returns it and whether it is new."""


class StreamEndpoint(Endpoint):
    """Shared by the views: finds the generation that the caller may read, and streams it."""

    has_page = False

    def attach(
        self, request: Request, generation: Generation, *, is_named: bool = False
    ) -> HttpResponseBase:
        """Stream a generation from the reader's position; 204 if nothing is left to stream.

        With `is_named` the ids of its frames name it, because the URL does not.
        """
        if wants_ui_messages(request):
            # By the convention of the SDK only an answer that is under way is resumed. It does not
            # get the id of a message that it continued: the SDK would replace that with its calls.
            has_ended = generation.is_final or generation.status == Status.EXPIRED
            renderer, after = _renderer(generation, is_ui=True), None if has_ended else START
        else:
            # `?after=` is for clients that cannot set headers. The header is newer: an EventSource
            # repeats the same URL when it reconnects, and adds the header.
            written = request.headers.get("Last-Event-ID") or request.query_params.get("after")
            renderer = NamedFrames(str(generation.pk)) if is_named else Frames()
            after = _place(written or "", generation=generation)
        if after is None:
            return nothing_more()
        slot = reader_slots.take(request.user.pk)
        return _stream(request, generation, after=after, slot=slot, renderer=renderer)

    def _find(self, request: Request, generation_id: UUID) -> Generation:
        # 404 for the rows of others, so that nobody learns which ids exist. 403 for staff who may
        # list rows but not read content.
        visible = Generation.objects.visible_to(request.user)
        generation = get_object_or_404(visible, pk=generation_id)
        user = request.user
        if generation.owner_id != user.pk and not is_staff_with(user, "view_content"):
            raise PermissionDenied(_("You may see this generation, but not its content."))
        return generation


class StreamView(StreamEndpoint):
    """`POST generations/stream/`: create a generation and stream it."""

    kind_of_call = "create"
    streams = (EVENT_STREAM,)

    def post(self, request: Request, **_: UUID) -> HttpResponseBase:
        is_ui = wants_ui_messages(request)
        chat = read_chat(request.data) if is_ui and is_chat(request.data) else None
        begin = self.read(request, chat, key=request.headers.get("Idempotency-Key"))
        render = partial(_renderer, is_ui=is_ui, chat=chat)
        slot = reader_slots.take(request.user.pk)
        try:
            return self._begin(request, begin, slot=slot, render=render)
        except BaseException:  # Also if the server cancels the request.
            slot.release()
            raise

    def read(self, request: Request, chat: ChatRequest | None, *, key: str | None) -> Begin:
        """Check the body, and return what begins its stream."""
        fields = read_body(_fields_of(chat) if chat else request.data)
        check_account(fields.get("account", "default"))
        fields.pop("sync", None)
        return partial(get_or_begin_stream, **fields, owner=request.user, idempotency_key=key)

    def _begin(
        self,
        request: Request,
        begin: Begin,
        *,
        slot: Slot,
        render: Callable[[Generation], Renderer],
    ) -> HttpResponseBase:
        written = "" if wants_ui_messages(request) else request.headers.get("Last-Event-ID", "")
        _place(written)  # A wrong one is refused before anything is paid.
        generation, is_new = begin()
        after = _place(written, generation=generation)
        renderer = render(generation)
        if written and not is_new:  # A repeated POST that resumes the stream, like an attach.
            if after is not None:
                return _stream(request, generation, after=after, slot=slot, renderer=renderer)
            slot.release()
            return nothing_more()
        let_connections_go(request)
        frame = first_frame(generation, seconds=FIRST_FRAME_SECONDS)
        if frame is None or frame.event != ERROR:
            return _stream(request, generation, after=START, slot=slot, renderer=renderer)
        slot.release()
        return refusal(frame, generation)


class AttachView(StreamEndpoint):
    """`GET generations/{id}/stream/`: attach to a stream, or resume it."""

    streams = (EVENT_STREAM,)

    def get_authenticators(self) -> list[BaseAuthentication]:
        return [TicketAuthentication(), *super().get_authenticators()]

    def get(self, request: Request, generation_id: UUID) -> HttpResponseBase:
        generation = self._find(request, generation_id)
        services.record_reads([generation], by=request.user, where="a stream of the REST API")
        return self.attach(request, generation)


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


def _fields_of(chat: ChatRequest) -> dict[str, Any]:
    system = {"system_instruction": chat.system} if chat.system else {}
    return {**system, **chat.options, "messages": chat.messages}


def _renderer(generation: Generation, *, is_ui: bool, chat: ChatRequest | None = None) -> Renderer:
    if not is_ui:
        return Frames()
    return UIMessages(str(generation.pk), message_id=chat.continues if chat else "")


def _stream(
    request: Request, generation: Generation, *, after: Position, slot: Slot, renderer: Renderer
) -> HttpResponseBase:
    reader_class = AsyncReader if isinstance(request._request, ASGIRequest) else SyncReader
    reader = reader_class(generation.pk, after=after, slot=slot, renderer=renderer)
    let_connections_go(request)
    headers = {**HEADERS, **renderer.headers, "X-Generation-Id": str(generation.pk)}
    return respond(request, reader, slot=slot, headers=headers)


def respond(
    request: Request,
    reader: Iterable[bytes] | AsyncIterable[bytes],
    *,
    slot: Slot,
    headers: Mapping[str, str],
) -> HttpResponseBase:
    """Return the response that streams what the reader yields; for HEAD, its headers alone."""
    # Servers read the body of a response to HEAD to its end, although they do not send it.
    if request.method == "HEAD":
        slot.release()
        return HttpResponse(content_type=EVENT_STREAM, headers=headers)
    return StreamingHttpResponse(reader, content_type=EVENT_STREAM, headers=headers)


def nothing_more() -> HttpResponse:
    """Return the response to a reader that has the whole stream, or that has none to read."""
    # An EventSource reconnects until it receives 204 (WHATWG HTML, 9.2.3).
    return HttpResponse(status=204)


def _place(written: str, *, generation: Generation | None = None) -> Position | None:
    """Return the reader's position, or None if the reader has the whole stream.

    With the id of another generation's frame the reader has nothing of this one.
    """
    written, is_named, name = written.strip().partition(OF_GENERATION)
    if is_named and generation is not None and name != str(generation.pk):
        return START
    if written == HAS_ALL:
        return None
    try:
        return Position.parse(written) if written else START
    except ValueError:
        text = "Is not the id of a frame from this API."
        raise RequestError.about("Last-Event-ID", text) from None


def let_connections_go(request: Request) -> None:
    """Close this thread's database connections; they would be idle as long as the stream lasts.

    Under WSGI the host's CONN_MAX_AGE may keep one per thread, as it does for every view.
    """
    databases.close_connections(keep=not isinstance(request._request, ASGIRequest))
