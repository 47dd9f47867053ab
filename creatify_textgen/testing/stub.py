"""The stub: replaces the connection and the worker while its block runs.

Only the edges are replaced: `gateway` hands out a client without a socket, and what `enqueue`
would publish runs at once, in this thread and its transaction. Rows, statuses, errors and frames
are the app's own, so a test sees what a site sees.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from typing import Any, Self, TypeVar
from unittest.mock import patch

from asgiref.sync import sync_to_async
from django.conf import settings
from django.test import override_settings

from creatify_textgen import chat, clock, databases, enqueue, gateway, services
from creatify_textgen.chat.conversations import Conversation, ask_apart
from creatify_textgen.chat.running import run_apart
from creatify_textgen.dispatch import sweep_schedule
from creatify_textgen.models import Generation
from creatify_textgen.recovery import waiting
from creatify_textgen.states import Mode, Status
from creatify_textgen.streams import database, pump
from creatify_textgen.testing.answers import (
    Answer,
    Asked,
    check_answer,
    check_fault,
    make_answer,
    refusal_of,
)
from creatify_textgen.testing.remote import StubClient

__all__ = ["Stub", "StubMixin"]

T = TypeVar("T")

DEFAULT_ANSWER = "An answer of the stub."


class Stub:
    """A remote in this process. It answers the requests of the block `with Stub() as stub`."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        """Every request that was sent, refused ones too, in their order."""
        self._client = StubClient(self._next_answer)
        self._always: Any = DEFAULT_ANSWER
        self._in_turn: list[Any] | None = None
        self._faults: list[str] = []
        self._stack = ExitStack()

    def answer(self, value: Any) -> None:
        """Set what requests are answered from now on.

        A text (or a mapping or a pydantic model, sent as JSON) answers every request; a list or
        tuple of these answers one request each; a function is called with each `Asked` and returns
        one of these. Raises: TypeError for anything else.
        """
        is_sequence = isinstance(value, list | tuple)
        for one in value if is_sequence else [value]:
            check_answer(one)
        self._in_turn = list(value) if is_sequence else None
        self._always = None if is_sequence else value

    def fail(self, fault: str, *, times: int = 1) -> None:
        """Let the next requests fail in this way. Raises: ValueError for a name not in `FAULTS`."""
        check_fault(fault)
        # `True` is an int, and most likely a mistake.
        if type(times) is not int or times < 1:
            raise ValueError(f"times is how many requests fail, at least 1, not {times!r}.")
        self._faults += [fault] * times

    def assert_asked(self, text: str | None = None, *, times: int | None = None) -> None:
        """Fail unless the last message of a request contains this text.

        With `times`, exactly so many requests must contain it. Without a text, all requests count.
        Raises: AssertionError.
        """
        texts = [asked.text for asked in self.asked]
        found = [t for t in texts if text is None or text in t]
        if times is None and not found:
            wanted = "was sent" if text is None else f"contains {text!r}"
            raise AssertionError(f"No request {wanted}. The requests were {texts!r}.")
        if times is not None and len(found) != times:
            wanted = "" if text is None else f" {text!r}"
            raise AssertionError(f"Asked{wanted} {len(found)} times, not {times}: {texts!r}.")

    def assert_not_asked(self) -> None:
        """Fail if anything was sent."""
        self.assert_asked(times=0)

    def __enter__(self) -> Self:
        # If one replacement fails, the inner stack undoes those before it.
        with ExitStack() as stack:
            for replaced in self._replacements():
                stack.enter_context(replaced)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _next_answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        fault = self._faults.pop(0) if self._faults else ""
        # A refused request uses up no answer: the next one in turn belongs to its repetition.
        if refusal_of(fault):
            return Answer(fault=fault)
        answer = make_answer(self._next_value(), asked)
        return replace(answer, fault=fault or answer.fault)

    def _next_value(self) -> Any:
        if self._in_turn is None:
            return self._always
        if not self._in_turn:
            raise AssertionError(f"No answer is left for request {len(self.asked)}.")
        return self._in_turn.pop(0)

    def _replacements(self) -> Iterator[AbstractContextManager[Any]]:
        configured = {**getattr(settings, "CREATIFY_TEXTGEN", {}), "STREAM_BACKEND": "memory://"}
        # memory:// needs no server, and the reader of a stream is in this process.
        yield override_settings(CREATIFY_TEXTGEN=configured)
        # One client for all accounts, so no account needs keys.
        yield patch.object(gateway, "client_for", lambda account: self._client)
        # In the test's transaction, which never commits, what waits for the commit would never run.
        yield patch.multiple(
            enqueue,
            submit=services.send_generation,
            stream=services.pump_stream,
            run=_go_on,
            sweep=lambda *, delay_seconds=0: None,
        )
        yield patch.object(sweep_schedule, "request_sweep", _send_what_waits)
        yield patch.object(databases, "refuse_transaction_of_worker", _allow)
        # No thread: rows of a test's transaction are seen by its own connection alone.
        yield patch.multiple(database, start=_run_here, run_async=_run_async_here)
        for apart, verb in (
            (services.agenerate, services.generate),
            (services.await_, services.wait),
            (run_apart, chat.run),
            (ask_apart, Conversation.ask),
        ):
            # asgiref reads both attributes at each call. Not the wrapper itself is replaced,
            # because hosts import it by its name.
            yield patch.multiple(apart, func=verb, _thread_sensitive=True)
        yield patch.object(pump, "checkpoint_writer", _NoCheckpoints)
        # No sleep: a refused request is not tried again, and a row that is due later ends a wait.
        yield patch.object(pump, "TRIES", 1)
        yield patch.object(waiting, "LONGEST_PAUSE", 0)


class StubMixin:
    """For `unittest`: a `Stub` for each test, as `self.creatify_stub`."""

    creatify_stub: Stub

    def setUp(self) -> None:
        super().setUp()  # type: ignore[misc]
        self.creatify_stub = self.enterContext(Stub())  # type: ignore[attr-defined]


class _NoCheckpoints:
    """A stub's stream ends before a first checkpoint is due."""

    def watching(self, *args: Any, **kwargs: Any) -> AbstractContextManager[None]:
        return nullcontext()


def _go_on(run_id: uuid.UUID, *, is_streamed: bool = False, delay_seconds: float = 0) -> None:
    """Go on with a run, unless it has to wait: no time passes in a test."""
    if not delay_seconds:
        chat.go_on(run_id)


def _allow(_verb: str) -> None:
    """A test's code may submit in a transaction, and a stub sends at once, for nothing."""


def _send_what_waits() -> None:
    """Send what the next sweep would, such as the rows of `submit_many`."""
    # Not what was refused and waits for its next try: that is due later, and no time passes here.
    waiting = Generation.objects.due(clock.now()).filter(mode=Mode.ASYNC, status=Status.QUEUED)
    for generation_id in list(waiting.values_list("pk", flat=True)):
        services.send_generation(generation_id)


def _run_here(work: Callable[[], T]) -> Future[T]:
    done: Future[T] = Future()
    done.set_result(work())
    return done


async def _run_async_here(work: Callable[[], T]) -> T:
    return await sync_to_async(work)()
