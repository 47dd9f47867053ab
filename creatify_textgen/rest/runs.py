"""The endpoints of runs: read them, approve or reject their calls, stop them.

A run is started by the site's own code, which has the functions: `ConversationRunView` is for its
URLs. Invariant: a run is seen by its owner alone; everybody else gets 404.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from creatify_textgen import chat, databases
from creatify_textgen.chat import Conversation, Run, ToolCall
from creatify_textgen.exceptions import RequestError
from creatify_textgen.http.policy import Endpoint, KindOfCall
from creatify_textgen.privacy import discreet
from creatify_textgen.rest.bodies import read_fields
from creatify_textgen.rest.conversations import TURN_OPTIONS, refuse_answered
from creatify_textgen.rest.moments import to_text
from creatify_textgen.rest.pagination import GenerationPages
from creatify_textgen.rest.serializers import decimal_text
from creatify_textgen.rest.streaming.formats import UI_MESSAGES
from creatify_textgen.rest.streaming.limits import reader_slots
from creatify_textgen.rest.streaming.runs import stream_run
from creatify_textgen.rest.streaming.ui_requests import is_chat, read_chat
from creatify_textgen.rest.streaming.views import EVENT_STREAM

__all__ = ["CallSerializer", "ConversationRunView", "RunPages", "RunSerializer", "RunViewSet"]

LONGEST_REASON = 1000


class CallSerializer(serializers.Serializer[ToolCall]):
    """A call of a function that the model asked for."""

    id = serializers.UUIDField()
    step = serializers.IntegerField()
    name = serializers.CharField()
    args = serializers.DictField()
    state = serializers.ChoiceField(choices=ToolCall.State.choices)
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)

    def to_representation(self, instance: ToolCall) -> dict[str, Any]:
        return {
            "id": str(instance.pk),
            "step": instance.step.number,
            "name": instance.name,
            "args": instance.args,
            "state": instance.state,
            "started_at": to_text(instance.started_at),
            "finished_at": to_text(instance.finished_at),
        }


class RunSerializer(serializers.Serializer[Run]):
    """A run with its calls; `generations` are the ids of its steps in their order."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=Run.State.choices)
    text = serializers.CharField(allow_blank=True)
    error_code = serializers.CharField(allow_blank=True)
    limit = serializers.IntegerField()
    max_credits = serializers.CharField(allow_null=True)
    credits_used = serializers.CharField(allow_null=True)
    metadata = serializers.DictField()
    generations = serializers.ListField(child=serializers.UUIDField())
    calls = serializers.ListField(child=CallSerializer())
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)

    def to_representation(self, instance: Run) -> dict[str, Any]:
        calls: Any = list(instance.calls)
        steps = instance.steps.order_by("number").values_list("generation_id", flat=True)
        return {
            "id": str(instance.pk),
            "state": instance.state,
            "text": instance.text,
            "error_code": instance.error_code,
            "limit": instance.limit,
            "max_credits": decimal_text(instance.max_credits),
            "credits_used": decimal_text(instance.credits_used),
            "metadata": instance.metadata,
            "generations": [str(key) for key in steps],
            "calls": CallSerializer(calls, many=True).data,
            "created_at": to_text(instance.created_at),
            "finished_at": to_text(instance.finished_at),
        }


class RunPages(GenerationPages):
    """Pages of runs, from the newest or from the oldest."""

    # Each run takes four queries, so pages are shorter than those of generations.
    page_size = 20
    max_page_size = 50
    orderings = {
        name: (name, name.replace("created_at", "id")) for name in ("-created_at", "created_at")
    }


class RunViewSet(Endpoint, GenericViewSet[Run]):
    """Read runs, decide about their calls, and stop them."""

    queryset = Run.objects.none()
    serializer_class = RunSerializer
    pagination_class = RunPages
    filter_backends = ()
    lookup_url_kwarg = "run_id"

    @property
    def kind_of_call(self) -> KindOfCall:  # type: ignore[override]
        """Whether this action spends credits: a decision lets the run go on."""
        return "create" if self.action in ("approve", "reject") else "read"

    def get_queryset(self) -> QuerySet[Run]:
        return Run.objects.for_owner(self.request.user)

    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def retrieve(self, request: Request, run_id: UUID) -> Response:
        return self._show(self.get_object())

    @action(detail=True, methods=["post"])
    def stop(self, request: Request, run_id: UUID) -> Response:
        return self._show(chat.stop_run(self.get_object()))

    @action(detail=True, methods=["post"])
    def approve(self, request: Request, run_id: UUID, call_id: UUID) -> Response:
        chat.approve(self._find_call(call_id), by=request.user)
        # Read again, because the decision may have let the run go on.
        return self._show(self.get_object())

    @action(detail=True, methods=["post"])
    def reject(self, request: Request, run_id: UUID, call_id: UUID) -> Response:
        call = self._find_call(call_id)
        reason = read_fields(request.data, known=["reason"]).get("reason", "")
        if not isinstance(reason, str) or len(reason) > LONGEST_REASON:
            rule = f"Must be a text of at most {LONGEST_REASON} characters."
            raise RequestError.about("reason", rule)
        chat.reject(call, reason=reason, by=request.user)
        return self._show(self.get_object())

    def _find_call(self, call_id: UUID) -> ToolCall:
        # Among the calls of the user's own run, so those of others answer 404.
        return get_object_or_404(self.get_object().calls, pk=call_id)

    def _show(self, run: Run) -> Response:
        return Response(self.get_serializer(run).data)


class ConversationRunView(Endpoint):
    """Adds a message to a conversation, and lets the model call functions of the site.

    For a path of the site with `conversation_id`:
    `ConversationRunView.as_view(tools=[get_weather])`. With `?format=ui-message-stream` it streams
    all steps to `useChat`.
    """

    kind_of_call = "create"
    streams = (EVENT_STREAM,)
    tools: Sequence[Callable[..., Any]] = ()
    limit = 10
    """The most requests of a run."""

    @classmethod
    def as_view(cls, **attributes: Any) -> Any:
        # Our other views are wrapped in `rest/urls`. The path of this one is in the host's code.
        return databases.outside_transactions(discreet(super().as_view(**attributes)))

    def post(self, request: Request, conversation_id: UUID) -> HttpResponseBase:
        mine = Conversation.objects.for_owner(request.user)
        conversation = get_object_or_404(mine, pk=conversation_id)
        # Any other format is one of the host's renderers.
        if request.query_params.get("format") != UI_MESSAGES:
            run = self._submit(request, conversation, request.data)
            return Response(RunSerializer(run).data, status=202)
        body = request.data
        if is_chat(body):
            asked = read_chat(body)
            refuse_answered(asked, conversation)
            body = {**asked.options, "content": asked.new}
        # Before the run is saved: who gets no place to read must not pay for an answer.
        slot = reader_slots.take(request.user.pk)
        try:
            return stream_run(request, self._submit(request, conversation, body).pk, slot=slot)
        except BaseException:  # Also if the server cancels the request.
            slot.release()
            raise

    def _submit(self, request: Request, conversation: Conversation, body: Any) -> Run:
        known = ["content", *TURN_OPTIONS]
        fields = read_fields(body, known=known, required="content")
        return chat.submit_run(
            fields.pop("content"),
            tools=self.tools,
            limit=self.limit,
            conversation=conversation,
            # Also for a client that reads JSON: it attaches to the stream of each step.
            stream=True,
            idempotency_key=request.headers.get("Idempotency-Key"),
            **fields,
        )
