"""The texts of streams under way: written together, and none held up by another."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import DataError

from creatify_textgen.lifecycle import Outcome
from creatify_textgen.models import Generation
from creatify_textgen.remote import parse_chunk
from creatify_textgen.states import Status
from creatify_textgen.streams import checkpoints
from creatify_textgen.streams.checkpoints import CheckpointWriter
from creatify_textgen.streams.transcript import Transcript
from tests.factories import NOW, make_generation

pytestmark = pytest.mark.django_db

BEGAN = 1000.0


class Pumps:
    """Streams under way in this process, whose clock stands still."""

    def __init__(self) -> None:
        self.writer = CheckpointWriter()
        self.until = ExitStack()

    def begin(self) -> tuple[Generation, Transcript]:
        row, transcript = make_generation(status=Status.RUNNING), Transcript()
        watching = self.writer.watching(row.pk, transcript, stop=list)
        self.until.enter_context(watching)
        return row, transcript

    def write(self, elapsed: float) -> None:
        self.writer.write(now=NOW + timedelta(seconds=elapsed), elapsed=BEGAN + elapsed)


@pytest.fixture
def pumps(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pumps]:
    monkeypatch.setattr(CheckpointWriter, "_start", lambda writer: None)
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: BEGAN)
    pumps = Pumps()
    with pumps.until:
        yield pumps


def say(transcript: Transcript, text: str, *, thought: bool = False) -> None:
    part = {"text": text, "thought": thought}
    transcript.add(parse_chunk(json.dumps({"candidates": [{"content": {"parts": [part]}}]})))


def text_of(row: Generation) -> str:
    row = Generation.objects.select_related("content").get(pk=row.pk)
    return row.content.response_text


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> list[set[UUID]]:
    """Return the batches that are written; the database refuses what is called bad."""
    batches: list[set[UUID]] = []

    def save(outcomes: Mapping[UUID, Outcome], **options: Any) -> None:
        batches.append(set(outcomes))
        if any("bad" in (outcome.response_text or "") for outcome in outcomes.values()):
            raise DataError("Failing row contains (bad)")
        save_checkpoints(outcomes, **options)

    save_checkpoints = checkpoints.lifecycle.save_checkpoints
    monkeypatch.setattr(checkpoints.lifecycle, "save_checkpoints", save)
    return batches


def test_are_written_where_something_was_said(pumps: Pumps, saved: list[set[UUID]]) -> None:
    (first, transcript), (second, _) = pumps.begin(), pumps.begin()
    say(transcript, "Hm.", thought=True)
    say(transcript, "so far")
    pumps.write(1)
    assert saved == [{first.pk}]
    first.refresh_from_db()
    assert (first.content.response_text, first.content.response_thoughts) == ("so far", "Hm.")
    assert first.partial
    second.refresh_from_db()
    assert not second.partial


def test_are_a_sign_of_life_where_nothing_was(pumps: Pumps, saved: list[set[UUID]]) -> None:
    row, _ = pumps.begin()
    pumps.write(14)
    assert saved == []
    pumps.write(15)
    row.refresh_from_db()
    assert row.updated_at == NOW + timedelta(seconds=15)
    assert row.due_at == row.updated_at + timedelta(seconds=75)
    assert not row.partial


def test_are_a_sign_of_life_for_long_enough_if_the_remote_may_not_be_silent(
    pumps: Pumps, settings: Any
) -> None:
    """The next sign comes after 15 seconds, whatever `stream_idle` is."""
    settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "TIMEOUTS": {"stream_idle": 1}}
    row, _ = pumps.begin()
    pumps.write(15)
    row.refresh_from_db()
    assert row.due_at is not None
    assert row.due_at - row.updated_at > timedelta(seconds=4 * 15)


def test_of_a_long_text_are_written_more_rarely(
    pumps: Pumps, saved: list[set[UUID]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "CHARS_A_SECOND", 10)
    row, transcript = pumps.begin()
    say(transcript, "x" * 40)
    for second in range(1, 9):
        say(transcript, "")
        pumps.write(second)
    assert len(saved) == 2
    assert text_of(row) == "x" * 40


def test_of_long_texts_are_written_apart(
    pumps: Pumps, saved: list[set[UUID]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "CHARS_A_STATEMENT", 10)
    begun = [pumps.begin() for _ in range(5)]
    texts = ["four", "four", "x" * 30, "four", "four"]
    for (_, transcript), text in zip(begun, texts, strict=True):
        say(transcript, text)
    pumps.write(5)
    keys = [row.pk for row, _ in begun]
    assert saved == [set(keys[:2]), {keys[2]}, set(keys[3:])]
    assert [text_of(row) for row, _ in begun] == texts


@pytest.mark.usefixtures("saved")
def test_that_are_refused_hold_up_no_others(pumps: Pumps, caplog: pytest.LogCaptureFixture) -> None:
    begun = {text: pumps.begin() for text in ("one", "bad", "two")}
    for text, (_, transcript) in begun.items():
        say(transcript, text)
    pumps.write(1)
    texts = {text: text_of(row) for text, (row, _) in begun.items()}
    assert texts == {"one": "one", "bad": "", "two": "two"}
    refused = begun["bad"][0]
    refused.refresh_from_db()
    assert refused.updated_at == NOW + timedelta(seconds=1)
    assert f"{refused.pk} (DataError)" in caplog.text
    assert "Failing row" not in caplog.text


def test_of_what_has_ended_are_not_written(pumps: Pumps, saved: list[set[UUID]]) -> None:
    row, transcript = make_generation(status=Status.RUNNING), Transcript()
    pumps.begin()
    with pumps.writer.watching(row.pk, transcript, stop=list):
        say(transcript, "so far")
    pumps.write(1)
    assert saved == []
