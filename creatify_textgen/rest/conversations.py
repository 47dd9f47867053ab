"""The endpoints of conversations. Each one parses, makes one call and renders.

Invariant: a conversation is seen by its owner alone; everybody else gets 404.
"""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from creatify_textgen.chat import Conversation, Run, Turn
from creatify_textgen.chat.runs import OPEN
from creatify_textgen.exceptions import RequestError
from creatify_textgen.http.policy import Endpoint, KindOfCall
from creatify_textgen.models import Generation
from creatify_textgen.rest.bodies import read_fields, read_sync
from creatify_textgen.rest.moments import to_text
from creatify_textgen.rest.pagination import ConversationPages, TurnPages
from creatify_textgen.rest.serializers import WordField, decimal_text, represent_message
from creatify_textgen.rest.streaming.formats import wants_ui_messages
from creatify_textgen.rest.streaming.limits import reader_slots
from creatify_textgen.rest.streaming.runs import stream_run
from creatify_textgen.rest.streaming.ui_requests import ChatRequest
from creatify_textgen.rest.streaming.views import Begin, StreamView, nothing_more
from creatify_textgen.states import TERMINAL, Mode, Status

__all__ = [
    "ConversationSerializer",
    "ConversationStreamView",
    "ConversationViewSet",
    "TurnSerializer",
]

# Without `account`: conversations of this API are in the default workspace.
SETTINGS = (
    "title",
    "system_instruction",
    "model_name",
    "config",
    "tools",
    "tool_config",
    "metadata",
    "window_messages",
    "window_tokens",
)
TURN_OPTIONS = ("config", "tool_config", "metadata")


class ConversationSerializer(serializers.Serializer[Conversation]):
    """A conversation without its messages."""

    id = serializers.UUIDField()
    title = serializers.CharField(allow_blank=True)
    system_instruction = serializers.CharField(allow_blank=True)
    model_name = serializers.CharField()
    config = serializers.DictField()
    tools = serializers.ListField(child=serializers.JSONField())
    tool_config = serializers.DictField()
    metadata = serializers.DictField()
    window_messages = serializers.IntegerField(allow_null=True)
    window_tokens = serializers.IntegerField(allow_null=True)
    forked_from = serializers.UUIDField(allow_null=True)
    forked_at = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    def to_representation(self, instance: Conversation) -> dict[str, Any]:
        source = instance.forked_from_id
        return {
            "id": str(instance.pk),
            **{name: getattr(instance, name) for name in SETTINGS},
            "forked_from": str(source) if source else None,
            "forked_at": instance.forked_at,
            "created_at": to_text(instance.created_at),
            "updated_at": to_text(instance.updated_at),
        }


class TurnSerializer(serializers.Serializer[Turn]):
    """What the user added, and the answer; `generation` and `run` are ids."""

    number = serializers.IntegerField()
    generation = serializers.UUIDField()
    run = serializers.UUIDField(allow_null=True)
    messages = serializers.ListField(child=serializers.JSONField())
    status = WordField(choices=Status.choices)
    mode = WordField(choices=Mode.choices)
    response_text = serializers.CharField(allow_blank=True)
    response_function_calls = serializers.ListField(child=serializers.JSONField())
    error_code = serializers.CharField(allow_blank=True)
    finish_reason = serializers.CharField(allow_blank=True)
    partial = serializers.BooleanField()  # type: ignore[assignment]
    credits_used = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)

    def to_representation(self, instance: Turn) -> dict[str, Any]:
        # `run_id` is not a column: `with_run` adds it to the query.
        row, run = instance.generation, getattr(instance, "run_id", None)
        return {
            "number": instance.number,
            "generation": str(row.pk),
            "run": str(run) if run else None,
            "messages": [represent_message(message) for message in instance.added],
            "status": row.status,
            "mode": row.mode,
            "response_text": row.content.response_text,
            "response_function_calls": row.content.response_function_calls,
            "error_code": row.error_code,
            "finish_reason": row.finish_reason,
            "partial": row.partial,
            "credits_used": decimal_text(row.credits_used),
            "created_at": to_text(row.created_at),
            "finished_at": to_text(row.finished_at),
        }


class ConversationViewSet(Endpoint, GenericViewSet[Conversation]):
    """Start conversations, read them, add to them and fork them."""

    http_method_names = [*Endpoint.http_method_names, "patch", "delete"]
    queryset = Conversation.objects.none()
    serializer_class = ConversationSerializer
    # Filters that the host has set by default are made for its own views.
    filter_backends = ()
    lookup_url_kwarg = "conversation_id"

    @property
    def kind_of_call(self) -> KindOfCall:  # type: ignore[override]
        """Whether this action spends credits."""
        return "create" if self.action == "say" else "read"

    @property
    def pagination_class(self) -> Any:  # type: ignore[override]
        """The items of this action's pages."""
        return TurnPages if self.action == "messages" else ConversationPages

    def get_queryset(self) -> QuerySet[Conversation]:
        return Conversation.objects.for_owner(self.request.user)

    def create(self, request: Request) -> Response:
        fields = read_fields(request.data, known=SETTINGS)
        return self._show(Conversation.start(owner=request.user, **fields), status=201)

    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def retrieve(self, request: Request, conversation_id: UUID) -> Response:
        return self._show(self.get_object())

    def partial_update(self, request: Request, conversation_id: UUID) -> Response:
        conversation = self.get_object()
        fields = read_fields(request.data, known=["title"], required="title")
        conversation.rename(fields["title"])
        return self._show(conversation)

    def destroy(self, request: Request, conversation_id: UUID) -> Response:
        self.get_object().erase()
        return Response(status=status.HTTP_204_NO_CONTENT)

    @action(detail=True, methods=["post"])
    def fork(self, request: Request, conversation_id: UUID) -> Response:
        conversation = self.get_object()
        fields = read_fields(request.data, known=["at"])
        return self._show(conversation.fork(fields.get("at")), status=201)

    @action(detail=True, methods=["get"])
    def messages(self, request: Request, conversation_id: UUID) -> Response:
        turns = Turn.objects.filter(conversation=self.get_object()).with_content().with_run()
        page: Any = self.paginate_queryset(turns)  # type: ignore[arg-type]
        return self.get_paginated_response(TurnSerializer(page, many=True).data)

    @action(detail=True, methods=["post"])
    def say(self, request: Request, conversation_id: UUID) -> Response:
        conversation = self.get_object()
        fields = read_fields(
            request.data, known=["content", "sync", *TURN_OPTIONS], required="content"
        )
        waits = read_sync(fields)
        say = conversation.ask if waits else conversation.say
        generation = say(
            fields.pop("content"),
            idempotency_key=request.headers.get("Idempotency-Key"),
            **fields,
        )
        turn = _turn_of(generation, conversation=conversation)
        headers = {"Location": self.path_to("generation-detail", generation.pk)}
        # If the time ran out, the generation continues, and the client reads it later.
        is_answered = waits and turn.generation.is_final
        # A plain dict: otherwise a page of the browsable API would check permissions on the turn,
        # which has no owner.
        shown = dict(TurnSerializer(turn).data)
        return Response(shown, status=201 if is_answered else 202, headers=headers)

    def _show(self, conversation: Conversation, *, status: int = status.HTTP_200_OK) -> Response:
        headers = {}
        if status != 200:
            headers["Location"] = self.path_to("conversation-detail", conversation.pk)
        return Response(self.get_serializer(conversation).data, status=status, headers=headers)


class ConversationStreamView(StreamView):
    """`conversations/{id}/messages/stream/`: add a message and stream the answer, or resume it."""

    @property
    def kind_of_call(self) -> KindOfCall:  # type: ignore[override]
        """Whether this request spends credits."""
        return "create" if self.request.method == "POST" else "read"

    def get(self, request: Request, conversation_id: UUID) -> HttpResponseBase:
        """Stream the answer that is under way; 204 if none is."""
        turn = self._find_conversation(request).last_turn
        if turn is None:
            return nothing_more()
        run = Run.objects.filter(steps__generation=turn.generation, state__in=OPEN).first()
        if run is None:
            return self._resume(request, turn)
        # A run that waits for a person has nothing to add to its message, so the response is 204.
        if wants_ui_messages(request) and run.state == Run.State.RUNNING:
            return stream_run(request, run.pk, slot=reader_slots.take(request.user.pk))
        response = self._resume(request, turn)
        # More follows what is streamed here: the next steps, or the calls that wait for a person.
        response["X-Run-Id"] = str(run.pk)
        return response

    def _resume(self, request: Request, turn: Turn) -> HttpResponseBase:
        # Not `has_ended`: a run that waits for a person, or calls a function, streams nothing.
        if turn.generation.status in (*TERMINAL, Status.EXPIRED):
            return nothing_more()
        # An EventSource that reconnects here may meet the next step of a run, or the next turn.
        return self.attach(request, turn.generation, is_named=True)

    def read(self, request: Request, chat: ChatRequest | None, *, key: str | None) -> Begin:
        """Check the body, and return what begins its stream."""
        conversation = self._find_conversation(request)
        if chat:
            refuse_answered(chat, conversation)
        # The SDK sends the whole chat, but the conversation has the past already.
        body = {**chat.options, "content": chat.new} if chat else request.data
        fields = read_fields(body, known=["content", "sync", *TURN_OPTIONS], required="content")
        # Accepted without effect, so that both paths of messages take the same body.
        read_sync(fields)
        return partial(
            conversation.begin_stream, fields.pop("content"), idempotency_key=key, **fields
        )

    def _find_conversation(self, request: Request) -> Conversation:
        mine = Conversation.objects.for_owner(request.user)
        return get_object_or_404(mine, pk=self.kwargs["conversation_id"])


def refuse_answered(chat: ChatRequest, conversation: Conversation) -> None:
    """Refuse to replace a message that has an answer: the conversation keeps both."""
    turn = conversation.last_turn
    if chat.repeats and turn is not None and turn.answer:
        raise RequestError(
            _("A conversation keeps its answers: fork it before this message, and send it there."),
            code="already_answered",
        )


def _turn_of(generation: Generation, *, conversation: Conversation) -> Turn:
    turns = Turn.objects.filter(conversation=conversation, generation=generation)
    return turns.with_content().with_run().get()
