"""Whatever goes wrong with a stream: the row, its text and its readers end up right.

Over sockets on both sides: an emulator that misbehaves, and a site under WSGI and under ASGI.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

import pytest
import requests
from django.utils import timezone

from creatify_textgen import services
from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Generation
from creatify_textgen.states import TERMINAL
from tests.event_streams import ServerEvent, read_events, text_of
from tests.factories import let_time_pass

pytestmark = pytest.mark.django_db(transaction=True)
CSRF = "a" * 32
PROMPT = "Write a haiku about the sea."


class Case(NamedTuple):
    """A way for the remote to behave, and what must come of it."""

    switches: dict[str, Any]
    status: str
    """Of the row, after a sweep if it is not final."""
    error: str = ""
    """The code of the error that the first reader receives."""
    error_code: str = ""
    partial: bool = False
    text: str = "whole"
    """Of the answer that the remote has: the whole of it, a part, or none."""
    http: int = 200
    cost: str = "known"
    """Or `unknown`, or `none` if nothing was accepted."""


LISTED = {"status": "done", "error": "stream_interrupted"}
GIVEN_UP = {"status": "failed", "error_code": "stream_interrupted", "cost": "unknown"}
UNLISTED = {**GIVEN_UP, "error": "stream_interrupted", "partial": True, "text": "part"}
REPORTED = {"status": "failed", "partial": True, "text": "part", "cost": "unknown"}
BUSY = {**REPORTED, "error": "remote_unavailable", "error_code": "remote_unavailable"}
UNNAMED = {**REPORTED, "error": "remote_failed", "error_code": "remote_failed"}
REFUSED = {"status": "failed", "text": "none", "cost": "none"}
DOUBTED = {**GIVEN_UP, "error": "unconfirmed", "text": "none", "http": 504}
BLOCKED = {"status": "failed", "error": "blocked", "error_code": "blocked"}


def refused(status: int, code: str, *, http: int) -> Case:
    switches = {"error_at_create": str(status), "retry_after": "none"}
    return Case(switches, error=code, error_code=code, http=http, **REFUSED)  # type: ignore[arg-type]


CASES = {
    "clean": Case({}, "done"),
    "own creatify event": Case({"stream_creatify": "own"}, "done"),
    "crlf and pings": Case({"stream_separator": "crlf", "stream_ping_seconds": 0.01}, "done"),
    "done marker": Case({"stream_fault": "done_marker"}, "done"),
    "slow drip": Case({"stream_fault": "drip"}, "done"),
    "thoughts": Case({"stream_content": "thoughts"}, "done"),
    "function call": Case({"stream_content": "function_call"}, "done", text="none"),
    "no content": Case({"stream_content": "no_content"}, "done"),
    "a signature alone": Case({"stream_content": "signature_only"}, "done"),
    "finish on each": Case({"stream_content": "finish_each"}, "done"),
    "counts as on Vertex": Case({"stream_usage": "vertex"}, "done"),
    "max tokens": Case({"finish_reason": "MAX_TOKENS"}, "done", error_code="truncated"),
    "prompt blocked": Case({"stream_content": "prompt_block"}, text="none", http=200, **BLOCKED),
    "stopped for safety": Case({"stream_content": "safety"}, partial=True, text="part", **BLOCKED),
    "error event": Case({"stream_fault": "error_event"}, **BUSY),
    "error as text": Case({"stream_fault": "error_text_event"}, **UNNAMED),
    "event named error": Case({"stream_fault": "named_error_event"}, **UNNAMED),
    "bare json tail": Case({"stream_fault": "raw_json_tail"}, **BUSY),
    "cut mid event, listed": Case({"stream_fault": "cut_mid_event"}, **LISTED),
    "reset mid event, listed": Case(
        {"stream_fault": "cut_mid_event", "stream_cut": "reset"}, **LISTED
    ),
    "cut mid event, unlisted": Case(
        {"stream_fault": "cut_mid_event", "stream_listed": "never"}, **UNLISTED
    ),
    "cut without creatify, listed": Case({"stream_fault": "cut_without_creatify"}, **LISTED),
    "cut without creatify, unlisted": Case(
        {"stream_fault": "cut_without_creatify", "stream_listed": "never"},
        **{**UNLISTED, "text": "whole"},
    ),
    "reset without creatify": Case(
        {"stream_fault": "cut_without_creatify", "stream_cut": "reset"}, **LISTED
    ),
    "a whole body without creatify": Case(
        {"stream_fault": "cut_without_creatify", "stream_cut": "complete"}, **LISTED
    ),
    "silence, listed": Case({"stream_fault": "silence"}, **LISTED),
    "silence, unlisted": Case({"stream_fault": "silence", "stream_listed": "never"}, **UNLISTED),
    "empty body, listed": Case({"stream_fault": "empty_body"}, http=502, **LISTED),
    "empty body, unlisted": Case(
        {"stream_fault": "empty_body", "stream_listed": "never"},
        **{**UNLISTED, "text": "none", "partial": False, "http": 502},
    ),
    "reset once accepted": Case(
        {"reset_after_accept": True}, "done", error="unconfirmed", http=504
    ),
    "504 once accepted": Case({"error_after_accept": "504"}, "done", error="unconfirmed", http=504),
    "400": refused(400, "invalid_request", http=400),
    "401": refused(401, "authentication", http=502),
    "402": refused(402, "insufficient_credits", http=402),
    "403": refused(403, "authentication", http=502),
    "404": refused(404, "not_found", http=502),
    "413": refused(413, "invalid_request", http=400),
    "500, unlisted": Case({"error_at_create": "500"}, **DOUBTED),
    "html 502, unlisted": Case({"error_at_create": "502"}, **DOUBTED),
    "html 504, unlisted": Case({"error_at_create": "504"}, **DOUBTED),
    "429 once": Case({"error_at_create": "429", "retry_after_seconds": 0}, "done"),
}


class Reader:
    """A page that streams: the answer before the first frame, or all frames."""

    def __init__(self, site: str, cookies: dict[str, str]) -> None:
        self._site = site
        self._session = requests.Session()
        self._session.cookies.update({**cookies, "csrftoken": CSRF})
        self._session.headers.update({"X-CSRFToken": CSRF, "Referer": site})

    def ask(self) -> tuple[int, str, list[ServerEvent], str]:
        """Return the status, the code of the error if any, the events, and the generation's id."""
        url = f"{self._site}/textgen/generations/stream/"
        with self._session.post(
            url, json={"messages": PROMPT}, stream=True, timeout=30
        ) as response:
            generation_id = response.headers["X-Generation-Id"]
            if response.headers["Content-Type"] == "application/json":
                return response.status_code, response.json()["code"], [], generation_id
            events = list(read_events(response))
        return response.status_code, _code(events), events, generation_id

    def attach(self, generation_id: str, last_id: str = "") -> list[ServerEvent]:
        url = f"{self._site}/textgen/generations/{generation_id}/stream/"
        headers = {"Last-Event-ID": last_id}
        with self._session.get(url, headers=headers, stream=True, timeout=30) as response:
            return list(read_events(response, last_id=last_id))

    def close(self) -> None:
        self._session.close()


def _code(events: list[ServerEvent]) -> str:
    return next((str(event.data["code"]) for event in events if event.name == "error"), "")


def settle(generation_id: str) -> Generation:
    """Sweep as if time went by, however often the remote's list must be read."""
    for _ in range(4):
        let_time_pass(generation_id)
        services.sweep()
    return Generation.objects.select_related("content").get(pk=generation_id)


def expected_text(case: Case, answer: str, received: str) -> str:
    if case.text == "part":
        assert received
        assert received != answer
        assert answer.startswith(received)
        return received
    return answer if case.text == "whole" else ""


@pytest.mark.parametrize("keys", ["camel", "snake"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_ends_right(
    remote: Emulator,
    case: Case,
    keys: str,
    site: str,
    session_cookie: dict[str, str],
    settings: Any,
) -> None:
    settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "TIMEOUTS": {"stream_idle": 0.5}}
    times = 1 if case.switches.get("error_at_create") == "429" else None
    remote.switches.set(stream_keys=keys)
    remote.switches.set(times=times, **case.switches)
    reader = Reader(site, session_cookie)
    http, error, events, generation_id = reader.ask()
    received = text_of(events)
    assert (http, error) == (case.http, case.error)
    if events:
        assert [event.name for event in events].count("end") == 1
        assert events[-1].name == "end"

    row = settle(generation_id)
    assert (row.status, row.error_code, row.partial) == (case.status, case.error_code, case.partial)
    created = remote.generations
    answer = created[0].answer.text if created else ""
    assert row.content.response_text == expected_text(case, answer, received)
    assert_cost(row, case, remote)

    # Whoever comes back has the same as whoever comes for the first time.
    whole = reader.attach(generation_id)
    frames = [event for event in events if event.name == "message"]
    # With the last id that a browser has: the id of the end frame, if it had one.
    is_open = bool(events) and events[-1].data["status"] not in TERMINAL
    last_id = (events if is_open else frames)[-1].id if frames else ""
    rest = reader.attach(generation_id, last_id) if frames else whole
    if frames and not is_open:
        assert events[-1].id == "end"
    for end in (whole[-1], rest[-1]):
        assert (end.name, end.data["status"]) == ("end", row.status)
        assert (end.data["error_code"], end.data["partial"]) == (row.error_code, row.partial)
    assert text_of(whole) == text_of([*frames, *rest]) == row.content.response_text
    assert _code(whole) == (row.error_code if row.status == "failed" else "")
    assert remote.counters["creates"] == len(created) <= 1
    reader.close()


def assert_cost(row: Generation, case: Case, remote: Emulator) -> None:
    if case.cost == "known":
        assert (row.remote_id, float(row.credits_used or -1)) == (
            remote.generations[0].id,
            remote.generations[0].credits_used or -1,
        )
    else:
        assert (row.remote_id, row.credits_used) == (None, 0 if case.cost == "none" else None)


class TestCutStream:
    """What the remote goes on writing after its reader was cut off."""

    @pytest.fixture
    def cut(self, remote: Emulator) -> Generation:
        remote.switches.set(stream_fault="cut_mid_event", stream_listed="at_end", stuck=True)
        with services.stream(PROMPT) as session:
            list(session)
        return session.generation

    def test_is_waited_for_and_found(self, cut: Generation, remote: Emulator) -> None:
        for seconds in (1, 40, 80, 200):
            aged = timezone.now() - timedelta(seconds=seconds)
            Generation.objects.update(updated_at=aged, submitted_at=aged, due_at=aged)
            services.sweep()
            assert Generation.objects.get().status == "running"
        remote.finish(remote.generations[0].id)
        row = settle(str(cut.pk))
        assert (row.status, row.remote_id) == ("done", remote.generations[0].id)
        assert row.content.response_text == remote.generations[0].response_text
        assert not row.partial

    def test_is_no_other_s_answer(self, cut: Generation, remote: Emulator) -> None:
        """An equal prompt that somebody else asked under the same keys, and another answer."""
        remote.switches.reset()
        with services.stream(PROMPT) as session:
            list(session)
        session.generation.delete()
        remote.generations[-1].response_text = "Something else."
        assert settle(str(cut.pk)).remote_id is None


def test_calls_of_functions_survive_a_cut(remote: Emulator) -> None:
    remote.switches.set(
        stream_content="function_call", stream_fault="cut_without_creatify", stream_listed="never"
    )
    with services.stream(PROMPT) as session:
        list(session)
    row = settle(str(session.generation.pk))
    [generation] = remote.generations
    assert (row.status, row.partial, row.finish_reason) == ("failed", True, "STOP")
    assert row.content.response_function_calls == generation.answer.function_calls != []
    assert row.content.usage["total_token_count"] > 0
    assert row.model_version == "gemini-3-flash-preview"
