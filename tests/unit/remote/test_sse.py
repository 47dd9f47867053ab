"""The guard on SSE bytes: framing at every split, in every line ending, and its bounds."""

from __future__ import annotations

import itertools
import json
import logging
import time
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creatify_textgen.exceptions import StreamError
from creatify_textgen.remote.sse import (
    DEFAULT_EVENT_CAP,
    MAX_EVENT_LINES,
    Event,
    read_events,
    read_lines,
)

CHUNKS = [
    json.dumps(
        {
            "candidates": [
                {
                    "content": {"role": "model", "parts": [{"text": text, **more}]},
                    "index": 0,
                    "citationMetadata": {"citations": [{"startIndex": at, "uri": "https://x.y"}]},
                }
            ],
            "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9 + at},
            "modelVersion": "gemini-2.5-flash",
            "responseId": "9bHIaJqzGqOpz7IPqYuZ8Ag",
        },
        ensure_ascii=at % 2 == 0,
    )
    for at, (text, more) in enumerate(
        [
            (
                "Thinking of data: and of\n\nblank lines. " * 4,
                {"thought": True},
            ),
            ("Grüße \u2028 \U0001f600", {}),
            ("event: end\r\nid: 7", {"thoughtSignature": "ZW11bGF0ZWQ="}),
            ("{", {}),
            (": ping \ufeff", {}),
        ]
    )
]
"""As Gemini writes them; with the other events they make two kilobytes."""
STREAM = (
    ": ping - 2026-11-22\n\n"
    'data: {"candidates":[{"content":{"parts":[{"text":"Grüße \u2028 \U0001f600"}]}}]}\n\n'
    "id: 7\nretry: 10\ndata:no space\n\n"
    'data: {\ndata:   "pretty": true\ndata: }\n\n\n'
    'event: error\ndata: {"error":{"code":503}}\n\n'
    "unknown: field\n\n"
    '{\n  "error": {"code": 500}\n}\n\n'
    "data\n\n" + "".join(f"data: {chunk}\n\n" for chunk in CHUNKS) + "data: [DONE]\n\n"
)
STREAM_EVENTS = [
    Event('{"candidates":[{"content":{"parts":[{"text":"Grüße \u2028 \U0001f600"}]}}]}'),
    Event("no space"),
    Event('{\n  "pretty": true\n}'),
    Event('{"error":{"code":503}}', name="error"),
    Event('{\n  "error": {"code": 500}\n}', bare=True),
    Event(""),
    *map(Event, CHUNKS),
    Event("[DONE]"),
]
LINE_ENDINGS = {"lf": ["\n"], "crlf": ["\r\n"], "cr": ["\r"], "mixed": ["\n", "\r\n", "\r"]}


def with_line_endings(text: str, endings: list[str]) -> bytes:
    """A CR and an LF from two neighbors would be one line ending, so a CR is never before an LF."""
    lines = text.split("\n")
    written = []
    for number, line in enumerate(lines[:-1]):
        ending = endings[number % len(endings)]
        after_bare_return = not line and written and written[-1].endswith("\r")
        written.append(line + ("\r\n" if after_bare_return and ending == "\n" else ending))
    return ("".join(written) + lines[-1]).encode()


def events_of(*blocks: bytes, cap: int = 4096) -> list[Event]:
    return list(read_events(blocks, cap=cap))


class TestFraming:
    @pytest.mark.parametrize("endings", LINE_ENDINGS.values(), ids=LINE_ENDINGS)
    @pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "bom"])
    def test_reads_the_same_events_at_every_split(self, endings: list[str], mark: bytes) -> None:
        stream = mark + with_line_endings(STREAM, endings)
        assert len(stream) >= 2048

        for cut in range(len(stream) + 1):
            assert events_of(stream[:cut], stream[cut:]) == STREAM_EVENTS, cut

    @pytest.mark.parametrize("endings", LINE_ENDINGS.values(), ids=LINE_ENDINGS)
    def test_reads_the_same_events_byte_by_byte(self, endings: list[str]) -> None:
        stream = with_line_endings(STREAM, endings)

        assert events_of(*(stream[at : at + 1] for at in range(len(stream)))) == STREAM_EVENTS

    @pytest.mark.parametrize("blank", ["\n\n", "\r\n\r\n", "\r\r", "\n\r\n", "\r\n\n", "\n\r"])
    def test_separates_at_every_kind_of_blank_line(self, blank: str) -> None:
        stream = f"data: a{blank}data: b{blank}".encode()

        assert events_of(stream) == [Event("a"), Event("b")]

    @pytest.mark.parametrize("blank", [b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r"])
    def test_yields_an_event_as_soon_as_its_blank_line_is_there(self, blank: bytes) -> None:
        def blocks() -> Iterator[bytes]:
            yield b"data: a" + blank
            raise AssertionError("waited for more")

        assert next(read_events(blocks())) == Event("a")

    def test_replaces_invalid_utf8(self) -> None:
        assert events_of(b"data: a\xff\n\n", b"data:b\xc3\n\n") == [
            Event("a\ufffd"),
            Event("b\ufffd"),
        ]

    def test_takes_the_last_name_of_an_event(self) -> None:
        assert events_of(b"event: a\nevent: error\ndata: x\n\n") == [Event("x", name="error")]

    def test_joins_many_lines(self) -> None:
        stream = b"event: long\n" + b"".join(b"data: %d\n" % number for number in range(1000))

        assert events_of(stream + b"\n", cap=20_000) == [
            Event("\n".join(map(str, range(1000))), name="long")
        ]

    def test_yields_bare_json_beside_the_event_it_follows(self) -> None:
        assert events_of(b'data: x\n{"error": 1}\n\n') == [
            Event("x"),
            Event('{"error": 1}', bare=True),
        ]

    @pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\r"])
    def test_marks_what_no_blank_line_ends(self, end: bytes) -> None:
        assert events_of(b'data: a\n\ndata: {"b":1}' + end) == [
            Event("a"),
            Event('{"b":1}', complete=False),
        ]

    def test_marks_bare_json_at_the_end(self) -> None:
        assert events_of(b'[{\n "error": 1}]\n') == [
            Event('[{\n "error": 1}]', complete=False, bare=True)
        ]

    def test_ignores_what_is_neither(self) -> None:
        assert events_of(b"<html>\n\n<body>", b": comment") == []

    @pytest.mark.parametrize("start", [b"", b"\xef", b"\xef\xbb", b"\xef\xbb\xbf"])
    def test_takes_a_stream_of_next_to_nothing(self, start: bytes) -> None:
        assert events_of(start) == []

    def test_logs_no_content(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)

        events_of(b'data:secret\n\nsecret\n\n{"secret": 1}\n\n')

        assert "secret" not in caplog.text


BLOCK = b"x" * 65536


def blocks_of(stream: bytes) -> Iterator[bytes]:
    return (stream[at : at + len(BLOCK)] for at in range(0, len(stream), len(BLOCK)))


class TestBounds:
    def test_refuses_an_event_above_the_cap(self) -> None:
        with pytest.raises(StreamError) as caught:
            events_of(b"data: a\n\ndata: ", b"x" * 100, cap=64)

        assert caught.value.code == "stream_limit"

    def test_refuses_a_complete_event_above_the_cap(self) -> None:
        with pytest.raises(StreamError):
            events_of(b"data: " + b"x" * 100 + b"\n\ndata: a\n\n", cap=64)

    def test_yields_what_came_before(self) -> None:
        events = read_events([b"data: a\n\n", b"data: " + b"x" * 100], cap=64)

        assert next(events) == Event("a")

    def test_takes_events_that_are_above_the_cap_only_together(self) -> None:
        assert len(events_of(b"data: 123456789\n\n" * 100, cap=64)) == 100

    def test_refuses_too_many_lines(self) -> None:
        with pytest.raises(StreamError) as caught:
            events_of(b"data\n" * (MAX_EVENT_LINES + 1) + b"\n", cap=2**20)

        assert caught.value.code == "stream_limit"

    @pytest.mark.parametrize("below", [0, 1, 2**20, DEFAULT_EVENT_CAP - 2**10])
    @pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b""], ids=["lf", "crlf", "cut"])
    def test_takes_an_event_up_to_the_cap(self, below: int, end: bytes) -> None:
        text = b"x" * (DEFAULT_EVENT_CAP - below - len(b"data: "))

        [event] = read_events(blocks_of(b"data: " + text + end))

        assert event == Event(text.decode(), complete=bool(end))

    @pytest.mark.parametrize("end", [b"\n\n", b""], ids=["complete", "cut"])
    def test_takes_no_byte_more(self, end: bytes) -> None:
        text = b"x" * (DEFAULT_EVENT_CAP + 1 - len(b"data: "))

        with pytest.raises(StreamError) as caught:
            list(read_events(blocks_of(b"data: " + text + end)))

        assert caught.value.code == "stream_limit"

    def test_takes_an_event_of_many_lines_up_to_the_cap(self) -> None:
        lines = [b"x" * 505] * (DEFAULT_EVENT_CAP // 512)
        frame = b"\n".join(b"data: " + line for line in lines)

        [event] = read_events(blocks_of(frame + b"\n\n"))

        assert event == Event(b"\n".join(lines).decode())

    def test_refuses_64_mib_in_time_and_within_three_times_the_cap(self) -> None:
        taken = 0

        def blocks() -> Iterator[bytes]:
            nonlocal taken
            yield b"data: "
            for _ in range(64 * 2**20 // len(BLOCK)):
                taken += len(BLOCK)
                yield bytes(bytearray(BLOCK))

        tracemalloc.start()
        began = time.thread_time()
        with pytest.raises(StreamError):
            list(read_events(blocks()))
        spent = time.thread_time() - began
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

        assert peak < 3 * DEFAULT_EVENT_CAP
        assert spent < 2
        assert taken <= DEFAULT_EVENT_CAP + len(BLOCK)

    def test_takes_time_in_proportion_to_an_event_that_comes_in_many_blocks(self) -> None:
        """Joined again with each, these would take minutes."""
        block = b"x" * 512

        def blocks() -> Iterator[bytes]:
            yield b"data: "
            yield from itertools.repeat(block, (DEFAULT_EVENT_CAP - 1024) // len(block))
            yield b"\n\n"

        began = time.thread_time()
        [event] = read_events(blocks())
        spent = time.thread_time() - began

        assert len(event.data) > DEFAULT_EVENT_CAP - 2048
        assert spent < 5


DATA_LINES = st.text(st.characters(exclude_characters="\n\r", codec="utf-8"), max_size=20)


class TestProperties:
    @given(st.lists(st.binary(max_size=40), max_size=20))
    def test_survives_arbitrary_bytes(self, blocks: list[bytes]) -> None:
        events_of(*blocks)

    @given(st.lists(st.text("\n\r: {}[]adteivn\ufeff\u2028", max_size=20), max_size=10))
    def test_does_not_depend_on_the_cuts(self, pieces: list[str]) -> None:
        blocks = [piece.encode() for piece in pieces]

        assert events_of(*blocks) == events_of(b"".join(blocks))

    @given(st.binary(max_size=60).filter(lambda raw: b"\n" not in raw and b"\r" not in raw))
    def test_short_cut_reads_what_the_library_reads(self, value: bytes) -> None:
        frame = b"data: " + value

        assert events_of(frame + b"\n\n") == list(read_lines(frame, complete=True))

    @given(
        st.lists(st.lists(DATA_LINES, min_size=1, max_size=4)),
        st.lists(st.sampled_from(["\n", "\r\n", "\r"]), min_size=1, max_size=5),
        st.lists(st.sampled_from(["", ": ping\n", "id: 1\n", "retry: 9\n", ": ping\n\n"])),
        st.lists(st.integers(0, 400), max_size=5),
    )
    def test_loses_no_complete_event(
        self, events: list[list[str]], endings: list[str], between: list[str], cuts: list[int]
    ) -> None:
        fillers = itertools.chain(between, itertools.repeat(""))
        frames = ["\n".join(f"data: {line}" for line in lines) for lines in events]
        text = "".join(f"{next(fillers)}{frame}\n\n" for frame in frames)
        stream = with_line_endings(text, endings)
        at = [0, *sorted(cuts), len(stream)]
        blocks = [stream[a:b] for a, b in pairwise(at)]

        assert events_of(*blocks) == [Event("\n".join(lines)) for lines in events]
