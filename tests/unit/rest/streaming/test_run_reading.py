"""A reader's way through a run, without a database."""

from __future__ import annotations

from uuid import uuid4

from creatify_textgen.chat.progress import Progress
from creatify_textgen.rest.streaming.readers import HEARTBEAT
from creatify_textgen.rest.streaming.runs import Pause, ReadRun, RunReading

WAITING = Progress(state="running", error_code="", credits_used=None, generations=[], calls=[])


class TestRunThatTakesLong:
    def test_is_read_seldom_and_its_reader_receives_heartbeats(self) -> None:
        steps, answer = RunReading(uuid4()).steps(), None
        seconds, silence, reads = 0.0, 0.0, 0
        while seconds < 3600:
            step = steps.send(answer)
            answer = WAITING if isinstance(step, ReadRun) else None
            reads += isinstance(step, ReadRun)
            if isinstance(step, Pause):
                seconds, silence = seconds + step.seconds, silence + step.seconds
            elif step == HEARTBEAT:
                assert silence <= 15
                silence = 0.0
        assert reads < 300

    def test_is_read_often_at_first(self) -> None:
        steps, answer = RunReading(uuid4()).steps(), None
        seconds = 0.0
        while seconds < 20:
            step = steps.send(answer)
            answer = WAITING if isinstance(step, ReadRun) else None
            if isinstance(step, Pause):
                seconds += step.seconds
                assert step.seconds <= 0.2 + seconds / 10
