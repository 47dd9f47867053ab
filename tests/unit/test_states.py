"""The tables of states, spelled out a second time: a slip in one of the two is a failure here."""

from __future__ import annotations

import pytest

from creatify_textgen.states import (
    FROM_REMOTE,
    IN_FLIGHT,
    SOURCES,
    TERMINAL,
    TRANSITIONS,
    Cause,
    Mode,
    Status,
)

FOLLOWING = {
    "queued": "submitting cancelled",
    "submitting": "pending running done failed queued unconfirmed",
    "unconfirmed": "pending running done failed queued expired",
    "pending": "running done failed expired",
    "running": "done failed expired",
    "expired": "done failed",
    "done": "",
    "failed": "",
    "cancelled": "",
}
WORDS = {
    "pending": "pending",
    "in_queue": "pending",
    "initializing": "pending",
    "running": "running",
    "generating": "running",
    "done": "done",
    "failed": "failed",
    "rejected": "failed",
    "error": "failed",
    "canceled": "failed",
    "cancelled": "failed",
}


class TestTransitions:
    def test_are_of_every_status(self) -> None:
        assert set(TRANSITIONS) == set(Status) == set(FOLLOWING)

    @pytest.mark.parametrize("source", Status, ids=str)
    @pytest.mark.parametrize("target", Status, ids=str)
    def test_allow_just_what_they_should(self, source: Status, target: Status) -> None:
        allowed = target.value in FOLLOWING[source.value].split()
        assert (target in TRANSITIONS[source]) is allowed
        assert (source in SOURCES[target]) is allowed

    def test_end_where_nothing_follows(self) -> None:
        assert {"done", "failed", "cancelled"} == TERMINAL

    def test_lead_to_an_end_from_everywhere(self) -> None:
        ending = set(TERMINAL)
        for _ in Status:
            ending |= {status for status, after in TRANSITIONS.items() if after & ending}
        assert ending == set(Status)


class TestWords:
    def test_of_the_remote_are_ours(self) -> None:
        assert FROM_REMOTE == WORDS

    def test_are_what_rows_have(self) -> None:
        assert [status.value for status in Status] == list(FOLLOWING)
        assert Mode.values == ["async", "sync", "stream", "imported"]
        causes = "submit poll webhook stream sweep reconcile operator retention"
        assert Cause.values == causes.split()

    def test_of_what_was_sent_and_is_waited_for(self) -> None:
        assert {"submitting", "unconfirmed", "pending", "running"} == IN_FLIGHT

    def test_are_shown_as_they_are_written(self) -> None:
        for words in (Status, Mode, Cause):
            assert [word.label for word in words] == words.values
