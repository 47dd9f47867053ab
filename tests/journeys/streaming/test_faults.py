"""Whatever goes wrong with a stream: the row, its text and its readers end up right."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from creatify_textgen import services
from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Generation

pytestmark = pytest.mark.django_db(transaction=True)


class Case(NamedTuple):
    """A way for the remote to behave, and what must come of it."""

    switches: dict[str, Any]
    status: str
    """Of the row, after a sweep where it is not final."""
    reader_code: str = ""
    error_code: str = ""
    partial: bool = False
    has_text: bool = True
    credits_known: bool = True


LISTED = {"status": "done", "reader_code": "stream_interrupted"}
UNLISTED = {
    "status": "failed",
    "reader_code": "stream_interrupted",
    "error_code": "stream_interrupted",
    "partial": True,
    "credits_known": False,
}
REPORTED = {
    "status": "failed",
    "reader_code": "remote_unavailable",
    "error_code": "remote_unavailable",
    "partial": True,
    "credits_known": False,
}
UNNAMED = {"reader_code": "remote_failed", "error_code": "remote_failed"}
REFUSED = {"status": "failed", "has_text": False}
CASES = {
    "clean": Case({}, "done"),
    "own creatify event": Case({"stream_creatify": "own"}, "done"),
    "crlf and pings": Case({"stream_separator": "crlf", "stream_ping_seconds": 0.01}, "done"),
    "done marker": Case({"stream_fault": "done_marker"}, "done"),
    "slow drip": Case({"stream_fault": "drip"}, "done"),
    "thoughts": Case({"stream_content": "thoughts"}, "done"),
    "function call": Case({"stream_content": "function_call"}, "done", has_text=False),
    "no content": Case({"stream_content": "no_content"}, "done"),
    "finish on each": Case({"stream_content": "finish_each"}, "done"),
    "max tokens": Case({"finish_reason": "MAX_TOKENS"}, "done", error_code="truncated"),
    "prompt blocked": Case(
        {"stream_content": "prompt_block"}, "failed", "blocked", "blocked", has_text=False
    ),
    "stopped for safety": Case(
        {"stream_content": "safety"}, "failed", "blocked", "blocked", partial=True
    ),
    "error event": Case({"stream_fault": "error_event"}, **REPORTED),
    "error as text": Case({"stream_fault": "error_text_event"}, **REPORTED | UNNAMED),
    "event named error": Case({"stream_fault": "named_error_event"}, **REPORTED | UNNAMED),
    "bare json tail": Case({"stream_fault": "raw_json_tail"}, **REPORTED),
    "cut mid event, listed": Case({"stream_fault": "cut_mid_event"}, **LISTED),
    "cut mid event, unlisted": Case(
        {"stream_fault": "cut_mid_event", "stream_listed": False}, **UNLISTED
    ),
    "cut without creatify, listed": Case({"stream_fault": "cut_without_creatify"}, **LISTED),
    "cut without creatify, unlisted": Case(
        {"stream_fault": "cut_without_creatify", "stream_listed": False}, **UNLISTED
    ),
    "reset without creatify": Case(
        {"stream_fault": "cut_without_creatify", "stream_cut": "reset"}, **LISTED
    ),
    "a whole body without creatify": Case(
        {"stream_fault": "cut_without_creatify", "stream_cut": "complete"}, **LISTED
    ),
    "silence, unlisted": Case({"stream_fault": "silence", "stream_listed": False}, **UNLISTED),
    "empty body, listed": Case({"stream_fault": "empty_body"}, **LISTED),
    "bad request": Case(
        {"error_at_create": "400"},
        **REFUSED,
        reader_code="invalid_request",
        error_code="invalid_request",
    ),
    "no credits": Case(
        {"error_at_create": "402"},
        **REFUSED,
        reader_code="insufficient_credits",
        error_code="insufficient_credits",
    ),
    "html 502, unlisted": Case(
        {"error_at_create": "502"},
        "failed",
        reader_code="remote_unavailable",
        error_code="stream_interrupted",
        partial=True,
        has_text=False,
        credits_known=False,
    ),
}


A_LEASE = timedelta(seconds=75)


def settle(generation: Generation) -> Generation:
    """Sweep until the row is final, however often the remote's list must be read."""
    for _ in range(8):
        Generation.objects.filter(pk=generation.pk, finished_at=None).update(
            next_check_at=generation.created_at,
            submitted_at=generation.created_at - A_LEASE,
        )
        services.sweep()
    return Generation.objects.select_related("content").get(pk=generation.pk)


@pytest.mark.parametrize("keys", ["camel", "snake"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_ends_right(remote: Emulator, case: Case, keys: str, settings: Any) -> None:
    settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "TIMEOUTS": {"stream_idle": 0.5}}
    remote.switches.set(stream_keys=keys, **case.switches)
    with services.stream("Write a haiku about the sea.") as session:
        heard = "".join(chunk.text for chunk in session)
    row = settle(session.generation)

    assert (row.status, session.error_code) == (case.status, case.reader_code)
    assert (row.error_code, row.partial) == (case.error_code, case.partial)
    assert bool(row.content.response_text) == case.has_text
    assert row.content.response_text.startswith(heard)
    assert (row.credits_used is not None) == case.credits_known
