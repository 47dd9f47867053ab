"""A function is called and its result given back, with models that want more than is documented."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from creatify_textgen import enqueue, services
from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Generation
from creatify_textgen.states import Status

pytestmark = pytest.mark.django_db(transaction=True)

TOOLS = [
    {
        "function_declarations": [
            {"name": "get_weather", "description": "Weather of a city."},
            {"name": "get_time", "description": "Time in a city."},
        ]
    }
]
QUESTION: list[dict[str, Any]] = [{"role": "user", "content": "Weather and time in Paris?"}]
SIGNATURE = "ZW11bGF0ZWQgdGhvdWdodCBzaWduYXR1cmU="
Ask = Callable[..., Generation]


@pytest.fixture(autouse=True)
def remote(creatify_emulator: Emulator, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    account = {"API_ID": "id", "API_KEY": "key", "BASE_URL": creatify_emulator.url}
    settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": account}, "POLL_INTERVAL": 0.01}
    creatify_emulator.switches.set(
        pending_seconds=0, running_seconds=0, chunk_interval=0, function_call_count=2
    )
    monkeypatch.setattr(enqueue, "stream", lambda generation_id: None)
    monkeypatch.setattr(enqueue, "submit", lambda generation_id: None)
    return creatify_emulator


def ask_now(messages: Any) -> Generation:
    return services.generate(messages, tools=TOOLS)


def ask_later(messages: Any) -> Generation:
    generation = services.submit(messages, tools=TOOLS)
    while generation.status == Status.QUEUED:
        services.send_generation(generation.pk)
        generation = generation.reloaded()
    while not generation.is_final:
        generation = services.refresh(generation)
    return generation


def ask_streamed(messages: Any) -> Generation:
    generation = services.begin_stream(messages, tools=TOOLS)
    services.pump_stream(generation.pk)
    return generation.reloaded()


MODES = pytest.mark.parametrize("ask", [ask_now, ask_later, ask_streamed])


def with_results(generation: Generation) -> list[dict[str, Any]]:
    """Return the conversation with the results of the calls, as a host writes it."""
    calls = generation.content.response_function_calls
    results = [{"name": call["name"], "response": {"answer": 21}} for call in calls]
    return [
        *generation.content.messages,
        *generation.content.answer_messages(),
        *({"role": "user", "function_response": result} for result in results),
    ]


def sent(remote: Emulator) -> list[dict[str, Any]]:
    """Return the messages of the last create."""
    bodies = [record.body for record in remote.requests if record.method == "POST"]
    messages: list[dict[str, Any]] = bodies[-1]["messages"]
    return messages


class TestFields:
    @MODES
    @pytest.mark.parametrize("keys", ["camel", "snake"])
    def test_of_calls_are_kept_in_their_order(self, ask: Ask, remote: Emulator, keys: str) -> None:
        remote.switches.set(call_fields=("id", "thought_signature"), stream_keys=keys)
        calls = ask(QUESTION).content.response_function_calls
        assert [call.get("id") for call in calls] == ["call-1-1", "call-1-2"]
        assert [call.get("thought_signature") for call in calls] == [SIGNATURE, None]

    @MODES
    def test_are_given_back_in_a_continuation(self, ask: Ask, remote: Emulator) -> None:
        remote.switches.set(
            call_fields=("id", "thought_signature"),
            call_checks=("missing_signature", "placeholder_signature", "missing_response_id"),
        )
        answer = ask(with_results(ask(QUESTION)))
        assert (answer.status, answer.calls_as_text) == (Status.DONE, False)
        _, first, second, one, other = sent(remote)
        assert first["function_call"]["thought_signature"] == SIGNATURE
        assert "thought_signature" not in second["function_call"]
        assert one["function_response"]["id"] == first["function_call"]["id"]
        assert other["function_response"]["id"] == second["function_call"]["id"]

    def test_reach_a_browser(self, remote: Emulator) -> None:
        remote.switches.set(call_fields=("id", "thought_signature"))
        ada = User.objects.create_user("ada")
        generation = ask_streamed(QUESTION)
        Generation.objects.filter(pk=generation.pk).update(owner=ada)
        client = Client()
        client.force_login(ada)
        shown = client.get(f"/textgen/generations/{generation.pk}/").json()
        assert shown["response_function_calls"][0]["thought_signature"] == SIGNATURE
        [chunk] = services.attach(ask_now(QUESTION))
        assert chunk.function_calls == generation.content.response_function_calls
        part = json.loads(chunk.raw)["candidates"][0]["content"]["parts"][0]
        assert (part["thoughtSignature"], part["functionCall"]["id"]) == (SIGNATURE, "call-1-1")


class TestPlaceholder:
    def test_stands_for_a_signature_that_nobody_knows(self, remote: Emulator) -> None:
        remote.switches.set(call_checks=("missing_signature",))
        assert ask_now(with_results(ask_now(QUESTION))).status == Status.DONE
        _, first, second, *_ = sent(remote)
        assert first["function_call"]["thought_signature"] == "skip_thought_signature_validator"
        assert "thought_signature" not in second["function_call"]


# What a remote does that takes none of the fields: it drops them, or calls them unknown.
REFUSALS = pytest.mark.parametrize(
    "switches",
    [
        {"call_checks": ("missing_signature",), "drop_call_fields": True},
        {"call_checks": ("missing_response_id",), "drop_call_fields": True},
        {"call_checks": ("opaque_fields",)},
        {"call_checks": ("placeholder_signature",)},
    ],
    ids=["no signature", "no id", "unknown fields", "bad signature"],
)


class TestRefusal:
    @MODES
    @REFUSALS
    def test_goes_on_as_text_once(
        self, ask: Ask, remote: Emulator, switches: dict[str, Any]
    ) -> None:
        called = with_results(ask(QUESTION))
        remote.switches.set(**switches)
        answer = ask(called)
        assert (answer.status, answer.calls_as_text, answer.attempts) == (Status.DONE, True, 2)
        assert remote.counters["creates"] == 2
        words = [message["content"] for message in sent(remote)[1:]]
        assert words[0].startswith("[I called the function get_")
        assert words[-1] == '[The function get_time returned {"answer": 21}]'
        # What the caller wrote stays; the timeline says what was done.
        assert answer.content.messages[1]["function_call"]["name"].startswith("get_")
        details = [event.detail for event in answer.events.all()]
        assert details.count("function calls refused: they are sent as text") == 1

    @MODES
    def test_of_the_text_as_well_fails(self, ask: Ask, remote: Emulator) -> None:
        called = with_results(ask(QUESTION))
        remote.switches.set(call_checks=("opaque_fields",), models="listed")
        remote.switches.set(retired_model="gemini-3-flash-preview")
        answer = ask(called)
        assert (answer.status, answer.credits_used) == (Status.FAILED, 0)
        assert remote.counters["creates"] == 1

    @MODES
    def test_fails_if_the_setting_says_so(self, ask: Ask, remote: Emulator, settings: Any) -> None:
        called = with_results(ask(QUESTION))
        settings.CREATIFY_TEXTGEN = settings.CREATIFY_TEXTGEN | {"CALLS_AS_TEXT": False}
        remote.switches.set(call_checks=("missing_signature",), drop_call_fields=True)
        answer = ask(called)
        assert (answer.status, answer.credits_used) == (Status.FAILED, 0)
        assert answer.error_code == "missing_thought_signature"
        assert "thought_signature" in answer.content.failed_reason

    def test_keeps_the_hash_by_which_a_list_shows_it(self, remote: Emulator) -> None:
        called = with_results(ask_now(QUESTION))
        remote.switches.set(call_checks=("opaque_fields",), reset_after_accept=True)
        answer = services.submit(called, tools=TOOLS)
        services.send_generation(answer.pk)  # refused, and queued as text
        services.send_generation(answer.pk)
        assert answer.reloaded().status == Status.UNCONFIRMED
        remote.switches.set(reset_after_accept=False)
        Generation.objects.filter(pk=answer.pk).update(due_at=answer.created_at)
        services.sweep()
        assert answer.reloaded().status == Status.DONE

    def test_of_a_generation_that_was_accepted_is_for_retry(self, remote: Emulator) -> None:
        called = with_results(ask_now(QUESTION))
        remote.switches.set(
            final_state="failed", failed_reason="Function call is missing a thought_signature"
        )
        failed = ask_now(called)
        assert (failed.error_code, failed.calls_as_text) == ("missing_thought_signature", False)
        messages = services.retry(failed).content.messages
        assert not any("function_call" in message for message in messages)


class TestModels:
    def test_retired_are_refused(self, remote: Emulator) -> None:
        remote.switches.set(retired_model="gemini-2.5-pro")
        refused = services.generate("Hello", model_name="gemini-2.5-pro")
        assert (refused.status, refused.error_code) == (Status.FAILED, "invalid_request")
        assert services.generate("Hello", model_name="gemini-2.5-flash").status == Status.DONE

    def test_rerouted_say_who_answered(self, remote: Emulator) -> None:
        remote.switches.set(rerouted_models=("gemini-3-flash-preview:gemini-3.6-flash",))
        assert ask_streamed("Hello").model_version == "gemini-3.6-flash"
        assert services.rerouted_models() == {"gemini-3-flash-preview": "gemini-3.6-flash"}
