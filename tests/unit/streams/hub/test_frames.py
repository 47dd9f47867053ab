"""What a frame looks like on the wire, and what its id says."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creatify_textgen.streams.hub import END, ERROR, START, Position, chunk_frame, word_frame

numbers = st.integers(0, 10**9 - 1)
positions = st.builds(Position, numbers, numbers, numbers, numbers)


class TestPosition:
    @given(positions)
    def test_is_read_as_it_was_written(self, position: Position) -> None:
        assert Position.parse(str(position)) == position

    @pytest.mark.parametrize(
        "written",
        ["", "end", "17", "17-", "-1-2", "1-2-3", "1.0-2", "1-2-3-4-5", "\u0661-\u0662", "1_0-2"],
    )
    def test_refuses_what_was_not_written_by_it(self, written: str) -> None:
        with pytest.raises(ValueError, match="position"):
            Position.parse(written)

    @given(st.text())
    def test_refuses_with_nothing_but_a_value_error(self, written: str) -> None:
        try:
            Position.parse(written)
        except ValueError:
            return


class TestChunkFrame:
    def test_hands_the_remotes_json_on_untouched(self) -> None:
        frame = chunk_frame(START, Position(1, 2), '{"a" :\t"\\u00e9 \u2028 data: x"}')
        assert frame.data == '{"a" :\t"\\u00e9 \u2028 data: x"}'
        assert frame.wire.startswith(b"id: 1-2\ndata: ")
        assert frame.wire.endswith(b"\n\n")

    def test_puts_each_line_in_a_field(self) -> None:
        frame = chunk_frame(START, Position(1), '{\n  "a": 1\n}')
        assert frame.wire == b'id: 1-0\ndata: {\ndata:   "a": 1\ndata: }\n\n'
        assert json.loads(frame.data) == {"a": 1}


class TestWordFrame:
    def test_gives_an_error_no_id(self) -> None:
        frame = word_frame(Position(3, 9), ERROR, {"code": "x"})
        assert frame.wire == b'event: error\ndata: {"code":"x"}\n\n'
        assert frame.end == Position(4, 9)

    def test_gives_the_end_an_id_that_says_so(self) -> None:
        frame = word_frame(START, END, {"status": "done"})
        assert frame.wire == b'event: end\nid: end\ndata: {"status":"done"}\n\n'

    def test_leaves_a_reader_its_place_at_an_end_that_is_not_the_last_word(self) -> None:
        frame = word_frame(START, END, {"status": "running"}, is_last=False)
        assert frame.wire == b'event: end\nretry: 15000\ndata: {"status":"running"}\n\n'
        assert frame.data == '{"status":"running"}'
