"""What is logged of a cause that repeats itself."""

from __future__ import annotations

import json
import logging
import os
import signal
from typing import Any

import pytest

from creatify_textgen import logs
from creatify_textgen.logs import CAUSES_KEPT, REPEAT_SECONDS, SWEEP, causes, warn_of


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(logs, "time", clock)
    return clock


class TestWarnOf:
    def test_logs_a_cause_once_and_counts_it_then(
        self, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        for _ in range(5):
            warn_of("late", SWEEP, "It is %d seconds late.", 70)
        assert caplog.messages == ["It is 70 seconds late."]
        clock.seconds += REPEAT_SECONDS
        warn_of("late", SWEEP, "It is %d seconds late.", 90)
        first, second = caplog.records
        assert second.getMessage() == "It is 90 seconds late. (4 more times since the last line)"
        assert [vars(first)["repeats"], vars(second)["repeats"]] == [0, 4]

    def test_keeps_causes_apart(self, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
        for status in (401, 402, 401):
            warn_of(("refusal", status), SWEEP, "%d", status)
        assert caplog.messages == ["401", "402"]

    def test_remembers_few_causes_however_many_a_stranger_chooses(
        self, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.ERROR)
        for number in range(3 * CAUSES_KEPT):
            warn_of(number, SWEEP, "x")
        assert len(causes._seen) == CAUSES_KEPT

    def test_are_logged_in_a_forked_process_whatever_a_thread_of_its_parent_does(self) -> None:
        reader, writer = os.pipe()
        with causes._lock:
            child = os.fork()
            if child == 0:
                signal.alarm(10)  # A process that waits for the lock would wait for ever.
                os.write(writer, b"%d" % (causes.note("late") or 0))
                os._exit(0)
        os.close(writer)
        os.waitpid(child, 0)
        assert os.read(reader, 20) == b"0"


class TestFields:
    def test_are_there_for_a_formatter_of_the_host(self, caplog: pytest.LogCaptureFixture) -> None:
        class Json(logging.Formatter):
            def format(self, record: logging.LogRecord) -> str:
                fields: dict[str, Any] = {"text": record.getMessage(), **vars(record)}
                return json.dumps({name: fields[name] for name in ("text", "name", "repeats")})

        warn_of("cause", SWEEP, "late")
        line = json.loads(Json().format(caplog.records[0]))
        assert line == {"text": "late", "name": "creatify_textgen.sweep", "repeats": 0}
