"""The last chunk from the row: once for each reader, whatever the hub still has."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from creatify_textgen.models import Generation, GenerationContent
from creatify_textgen.remote import parse_chunk
from creatify_textgen.states import Mode, Status
from creatify_textgen.streams.hub import CHUNK, END, START, Frame, Position
from creatify_textgen.streams.own_frames import bridge, rest
from creatify_textgen.streams.transcript import Transcript

TEXT = "It was so."


def done(mode: Mode = Mode.STREAM, **fields: Any) -> Generation:
    created_at = timezone.now() - timedelta(minutes=1)
    receipt = {"remote_id": "r1", "credits_used": Decimal("0.5")}
    fields = {"mode": mode, "status": Status.DONE, "created_at": created_at, **receipt, **fields}
    generation = Generation(**fields)
    generation.content = GenerationContent(generation=generation, response_text=TEXT)
    return generation


def events(frames: list[Frame]) -> list[str]:
    return [frame.event for frame in frames]


class TestLastChunk:
    def test_is_not_sent_again_to_a_reader_that_has_it(self) -> None:
        assert events(rest(done(last_frame=7), Position(7, len(TEXT)))) == [END]

    def test_is_sent_to_a_reader_that_has_all_the_text_and_no_receipt(self) -> None:
        last, end = rest(done(last_frame=7), Position(6, len(TEXT)))
        chunk = json.loads(last.data)
        assert chunk["candidates"][0]["content"]["parts"] == []
        assert chunk["creatify"] == {"id": "r1", "credits_used": 0.5}
        assert (last.event, end.event) == (CHUNK, END)

    @pytest.mark.parametrize("mode", Mode)
    @pytest.mark.parametrize("after", [START, Position(3, 4), Position(6, len(TEXT))])
    def test_is_sent_once_to_a_reader_that_is_cut_off_behind_it(
        self, after: Position, mode: Mode
    ) -> None:
        row = done(mode, last_frame=7 if mode == Mode.STREAM else None)
        after = after if mode == Mode.STREAM else START
        last, _ = rest(row, after)
        assert last.is_from_row
        assert events(rest(row, Position.parse(str(last.end)))) == [END]

    def test_is_not_sent_again_to_a_reader_that_was_bridged_to_it(self) -> None:
        row = done(last_frame=7)
        [bridged] = bridge(row, Position(3, 4))
        last, _ = rest(row, bridged.end)
        assert events(rest(row, last.end)) == [END]

    def test_of_a_pump_that_died_is_sent_in_any_case(self) -> None:
        assert events(rest(done(), Position(6, len(TEXT)))) == [CHUNK, END]


class TestNumber:
    def said(self, *raws: str) -> Transcript:
        transcript = Transcript()
        for raw in raws:
            transcript.add(parse_chunk(raw))
        return transcript

    def test_is_that_of_the_chunk_with_the_receipt(self) -> None:
        receipt = '{"candidates":[],"creatify":{"id":"r1","credits_used":0.5}}'
        said = self.said('{"candidates":[]}', '{"candidates":[]}', receipt)
        assert said.outcome(error_code="", partial=False).last_frame == 3

    def test_of_a_stream_that_broke_off_is_behind_its_error_and_its_end(self) -> None:
        said = self.said('{"candidates":[]}', '{"candidates":[]}')
        assert said.outcome(error_code="x", partial=True).last_frame == 5
