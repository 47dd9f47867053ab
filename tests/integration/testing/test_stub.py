"""The stub: the app's own rows and errors, without a socket, a thread or a worker."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from pydantic import BaseModel

from creatify_textgen import enqueue, gateway, services
from creatify_textgen.exceptions import PolicyRefusal
from creatify_textgen.models import Generation
from creatify_textgen.testing import FAULTS, Answer, Asked, Stub
from tests.architecture.source import ROOT

in_and_outside_transactions = pytest.mark.parametrize(
    "is_transactional",
    [
        pytest.param(False, marks=pytest.mark.django_db, id="in a TestCase"),
        pytest.param(True, marks=pytest.mark.django_db(transaction=True), id="committed"),
    ],
)
CALL = {"name": "get_weather", "args": {"city": "Paris"}}


class Tagline(BaseModel):
    text: str


class Watch:
    """Notes what a socket or a thread would do."""

    def __init__(self) -> None:
        self.is_on = True
        self.events: list[str] = []

    def note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.is_on or event not in ("socket.connect", "_thread.start_new_thread"):
            return
        # The driver of MariaDB is Python, so its socket is seen here.
        port = settings.DATABASES["default"].get("PORT")
        if event == "socket.connect" and port and int(port) in arguments[1]:
            return
        self.events.append(event)


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Watch this test; a hook of the interpreter cannot be removed, so it is turned off."""
    watch = Watch()
    sys.addaudithook(watch.note)
    yield watch
    watch.is_on = False


def ask(verb: str) -> Generation:
    """Ask in one of the three ways, and return the row as it is then."""
    if verb == "submit":
        generation = services.submit("Hello")
    elif verb == "generate":
        generation = services.generate("Hello")
    else:
        with services.stream("Hello") as stream:
            list(stream)
        generation = stream.generation
    return Generation.objects.select_related("content").get(pk=generation.pk)


every_verb = pytest.mark.parametrize("verb", ["submit", "generate", "stream"])


class TestVerbs:
    @in_and_outside_transactions
    @every_verb
    def test_are_answered_in_this_thread(
        self, verb: str, is_transactional: bool, creatify_stub: Stub, watch: Watch
    ) -> None:
        creatify_stub.answer("Videos in seconds.")
        threads = set(threading.enumerate())
        generation = ask(verb)
        assert (generation.status, generation.content.response_text) == (
            "done",
            "Videos in seconds.",
        )
        assert generation.credits_used
        assert watch.events == []
        # Those of other tests may end meanwhile.
        assert set(threading.enumerate()) <= threads

    @pytest.mark.django_db
    def test_need_no_keys_and_no_redis(self, settings: Any) -> None:
        settings.CREATIFY_TEXTGEN = {"STREAM_BACKEND": "redis://127.0.0.1:1/0"}
        with Stub():
            assert [ask(verb).status for verb in ("submit", "generate", "stream")] == ["done"] * 3

    @in_and_outside_transactions
    def test_are_answered_in_coroutines(self, is_transactional: bool, creatify_stub: Stub) -> None:
        async def ask_and_read() -> list[str]:
            generation = await services.agenerate("Hello")
            async with await services.astream("Hello") as stream:
                pieces = [chunk.text async for chunk in stream]
            return [generation.content.response_text, *pieces]

        creatify_stub.answer("All well.")
        assert async_to_sync(ask_and_read)() == ["All well.", "All ", "well.", ""]
        assert Generation.objects.count() == 2

    @in_and_outside_transactions
    def test_are_waited_for_in_coroutines(
        self, is_transactional: bool, creatify_stub: Stub
    ) -> None:
        async def ask() -> Generation:
            return await services.await_(await services.asubmit("Hello"))

        assert async_to_sync(ask)().status == "done"

    @pytest.mark.django_db
    def test_may_be_many(self, creatify_stub: Stub) -> None:
        services.submit_many([{"messages": "Hello"}] * 3)
        assert len(creatify_stub.asked) == 3
        assert set(Generation.objects.values_list("status", flat=True)) == {"done"}


class TestAnswers:
    @pytest.mark.django_db
    def test_carry_function_calls_and_thoughts(self, creatify_stub: Stub) -> None:
        creatify_stub.answer(Answer("Sunny.", function_calls=[CALL], thoughts="Hm."))
        for verb in ("generate", "stream"):
            assert ask(verb).content.response_function_calls == [CALL]
        assert ask("stream").content.response_thoughts == "Hm."

    @pytest.mark.django_db
    def test_may_be_objects(self, creatify_stub: Stub) -> None:
        creatify_stub.answer(Tagline(text="Fast."))
        assert services.generate("Hello", schema=Tagline).parsed(Tagline).text == "Fast."
        assert "response_json_schema" in creatify_stub.asked[0].config

    @pytest.mark.django_db
    def test_may_be_made_of_what_was_asked(self, creatify_stub: Stub) -> None:
        def reverse(asked: Asked) -> str:
            return asked.text[::-1]

        creatify_stub.answer(reverse)
        assert ask("generate").content.response_text == "olleH"

    @every_verb
    @pytest.mark.django_db
    def test_in_turn_end(self, verb: str, creatify_stub: Stub) -> None:
        creatify_stub.answer(["one", "two"])
        assert [ask(verb).content.response_text for _ in range(2)] == ["one", "two"]
        with pytest.raises(AssertionError, match="No answer is left for request 3"):
            ask(verb)


class TestFaults:
    @every_verb
    @pytest.mark.parametrize(
        ("fault", "status", "status_of_stream", "code"),
        [
            ("authentication", "failed", "failed", "authentication"),
            ("invalid_request", "failed", "failed", "invalid_request"),
            ("rate_limited", "queued", "failed", "rate_limited"),
            ("unavailable", "queued", "failed", "remote_unavailable"),
            ("unreachable", "queued", "failed", "remote_unavailable"),
            ("timeout", "unconfirmed", "unconfirmed", ""),
            ("failed", "failed", "failed", "remote_failed"),
            ("blocked", "failed", "failed", "blocked"),
            ("truncated", "done", "done", "truncated"),
            ("stream_interrupted", "unconfirmed", "running", ""),
        ],
    )
    @pytest.mark.django_db
    def test_leave_the_row_as_the_remote_would(
        self,
        verb: str,
        fault: str,
        status: str,
        status_of_stream: str,
        code: str,
        creatify_stub: Stub,
    ) -> None:
        creatify_stub.answer("An answer of five words.")
        creatify_stub.fail(fault)
        generation = ask(verb)
        assert generation.status == (status_of_stream if verb == "stream" else status)
        if generation.status == "failed" or verb == "stream":
            # A blocked answer has a reason in streams alone.
            expected = code if verb == "stream" or fault != "blocked" else "remote_failed"
            assert generation.error_code == expected
        assert ask(verb).status == "done", "one fault, and then all is well"

    @every_verb
    @pytest.mark.django_db
    def test_of_a_block_leave_nothing_of_the_answer(self, verb: str, creatify_stub: Stub) -> None:
        creatify_stub.answer(Answer("Hello", function_calls=[CALL], fault="blocked"))
        content = ask(verb).content
        assert (content.response_text, content.response_function_calls) == ("", [])

    @every_verb
    @pytest.mark.django_db
    def test_of_credits_pause_the_account(self, verb: str, creatify_stub: Stub) -> None:
        creatify_stub.answer("Yes.")
        creatify_stub.fail("insufficient_credits")
        generation = ask(verb)
        assert generation.status == ("queued" if verb == "submit" else "failed")
        with pytest.raises(PolicyRefusal, match="too few credits"):
            services.generate("Hello")
        assert services.resume_sending("default")
        assert ask(verb).status == "done"

    def test_are_known_by_name(self, creatify_stub: Stub) -> None:
        with pytest.raises(ValueError, match="rate_limited"):
            creatify_stub.fail("rate_limit")

    def test_are_documented(self) -> None:
        page = (ROOT / "docs" / "how-to" / "testing.md").read_text(encoding="utf-8")
        rows = re.findall(r"^\| (`[^|]*) \|", page.partition("the generation afterwards")[2], re.M)
        assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(FAULTS)


@pytest.mark.django_db
class TestAssertions:
    def test_say_what_was_asked(self, creatify_stub: Stub) -> None:
        creatify_stub.assert_not_asked()
        with pytest.raises(AssertionError, match="No request was sent"):
            creatify_stub.assert_asked()
        services.submit("Write a tagline.")
        creatify_stub.assert_asked()
        creatify_stub.assert_asked("tagline", times=1)
        with pytest.raises(AssertionError, match=r"Write a tagline\."):
            creatify_stub.assert_asked("poem")
        with pytest.raises(AssertionError, match="1 times, not 2"):
            creatify_stub.assert_asked("tagline", times=2)
        with pytest.raises(AssertionError, match="1 times, not 0"):
            creatify_stub.assert_not_asked()

    def test_have_the_request_as_it_is_sent(self, creatify_stub: Stub) -> None:
        services.submit(
            [{"role": "user", "content": [{"type": "text", "text": "a"}]}],
            system_instruction="Be brief.",
            config={"seed": 1},
            tools=[{"function_declarations": [{"name": "f"}]}],
        )
        (asked,) = creatify_stub.asked
        assert (asked.text, asked.system_instruction, asked.config) == (
            "a",
            "Be brief.",
            {"seed": 1},
        )
        assert asked.tools == [{"function_declarations": [{"name": "f"}]}]
        assert not asked.is_stream


class TestBlock:
    def test_leaves_everything_as_it_was(self) -> None:
        before = (gateway.client_for, enqueue.submit, enqueue.stream, enqueue.sweep)
        with Stub():
            assert gateway.client_for is not before[0]
        assert (gateway.client_for, enqueue.submit, enqueue.stream, enqueue.sweep) == before


class TestWrongUse:
    """Raises where the test says it, not in the code under test."""

    @pytest.mark.parametrize("value", [None, b"x", {1}, object(), {"a": object()}, ["ok", None]])
    def test_of_answer(self, creatify_stub: Stub, value: Any) -> None:
        with pytest.raises(TypeError, match="An answer is a text, a mapping"):
            creatify_stub.answer(value)

    @pytest.mark.django_db
    def test_of_a_function_that_returns_nothing(self, creatify_stub: Stub) -> None:
        creatify_stub.answer(lambda asked: None)
        with pytest.raises(TypeError, match="a function that returns one of these"):
            services.generate("Hi")

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"text": 5}, "strings"),
            ({"thoughts": None}, "strings"),
            ({"fault": "nope"}, "known are authentication"),
            ({"function_calls": ["get_weather"]}, "get_weather"),
            ({"function_calls": [{"args": {}}]}, "A call is"),
        ],
    )
    def test_of_an_answer_s_fields(self, fields: dict[str, Any], words: str) -> None:
        with pytest.raises((TypeError, ValueError), match=words):
            Answer(**fields)

    @pytest.mark.parametrize("times", [0, -1, 1.5, "2", True])
    def test_of_times(self, creatify_stub: Stub, times: Any) -> None:
        with pytest.raises(ValueError, match="how many requests fail"):
            creatify_stub.fail("timeout", times=times)
