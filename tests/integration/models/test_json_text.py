"""Text as it was sent and as it came: the order of keys on every database."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core import serializers
from django.utils import timezone

from creatify_textgen import lifecycle, services
from creatify_textgen.lifecycle import Outcome
from creatify_textgen.models import Generation, GenerationContent
from creatify_textgen.remote import GenerationRequest, RemoteGeneration
from creatify_textgen.states import Cause, Status
from tests.factories import make_generation
from tests.faults.remote_double import PreparedDouble, RemoteDouble

pytestmark = pytest.mark.django_db

PROPERTIES = {name: {"type": "string"} for name in ("reasoning", "steps", "answer")}
SCHEMA = {"type": "object", "properties": PROPERTIES, "required": list(PROPERTIES)}
CONFIG = {"response_mime_type": "application/json", "response_json_schema": SCHEMA}
TOOLS = [{"function_declarations": [{"name": "f", "description": "f", "parameters": SCHEMA}]}]
TOOL_CONFIG = {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["f"]}}
CALL = {"name": "f", "args": {"reasoning": 1, "steps": [{"z": 1, "aa": 2}], "answer": 0.1}}
HARD = [
    {"é": "\u2028 \\ % %s '"},
    {"half": "\ud83d", "nul": "a\0b"},
    [1, 1.0, 1e300, 12345678901234567890, True, None, "", []],
    "text",
    {},
]


def text(value: Any) -> str:
    """Return the value so that another order of keys is another text."""
    return json.dumps(value)


class TestOrder:
    def test_of_a_request_is_the_order_that_is_sent(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sent: list[GenerationRequest] = []
        create = double.create

        def note(prepared: PreparedDouble) -> RemoteGeneration:
            sent.append(prepared.request)
            return create(prepared)

        monkeypatch.setattr(double, "create", note)
        messages = [{"role": "user", "content": [{"type": "text", "text": "Think"}]}]
        options = {"tools": TOOLS, "tool_config": TOOL_CONFIG}
        services.submit(messages, config=CONFIG, **options)
        services.submit_many([{"messages": messages, "config": CONFIG, **options}])
        Generation.objects.update(due_at=timezone.now())
        services.sweep()
        assert len(sent) == 2
        for request in sent:
            assert text(request.config["response_json_schema"]) == text(SCHEMA)
            [declaration] = request.tools[0]["function_declarations"]
            assert text(declaration["parameters"]) == text(SCHEMA)
            assert text(request.tool_config) == text(TOOL_CONFIG)
            assert text(request.messages) == text(messages)

    def test_of_an_answer_is_the_order_that_came(self) -> None:
        rows = [make_generation(status=Status.RUNNING) for _ in range(2)]
        usage = {"total": 3, "a": 1}
        outcome = Outcome(response_function_calls=[CALL], usage=usage, citations=[{"z": 1, "a": 2}])
        others = Outcome(response_function_calls=[], usage={"b": 1}, citations=[])
        arrivals = {
            row.pk: lifecycle.Arrival(reported)
            for row, reported in zip(rows, (outcome, others), strict=True)
        }
        now = timezone.now()
        lifecycle.mark_arrived(arrivals, to=Status.DONE, cause=Cause.POLL, now=now)
        content = GenerationContent.objects.get(pk=rows[0].pk)
        assert text(content.response_function_calls) == text([CALL])
        assert text(content.usage) == text(usage)
        assert text(content.citations) == text([{"z": 1, "a": 2}])


class TestValue:
    @pytest.mark.parametrize("value", HARD, ids=range(len(HARD)))
    def test_comes_back_as_it_was(self, value: Any) -> None:
        pk = make_generation(content={"config": value}).pk
        assert text(GenerationContent.objects.get(pk=pk).config) == text(value)
        assert GenerationContent.objects.filter(config=value).exists()

    def test_none_is_null(self) -> None:
        make_generation(content={"usage": None})
        assert GenerationContent.objects.get(usage__isnull=True).usage is None

    def test_survives_a_fixture(self) -> None:
        row = make_generation(content={"config": CONFIG, "tools": TOOLS})
        fixture = serializers.serialize("json", [row.content])
        row.content.delete()
        for one in serializers.deserialize("json", fixture):
            one.save()
        content = GenerationContent.objects.get(pk=row.pk)
        assert (text(content.config), text(content.tools)) == (text(CONFIG), text(TOOLS))
        assert content.usage is None
