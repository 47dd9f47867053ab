"""Chunks in every key style, and the ends of streams."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creatify_textgen.exceptions import ContractError, StreamError
from creatify_textgen.remote import chunk_reader
from creatify_textgen.remote.chunk_reader import read_chunks
from creatify_textgen.remote.chunks import Chunk, ChunkFailure, parse_chunk
from creatify_textgen.remote.contract import Receipt
from tests.unit.remote.samples import sample

RECEIPT = Receipt("a1b2c3d4-5678-90ab-cdef-1234567890ab", Decimal("0.0005"))
RECEIPT_EVENT = b'data: {"creatify":{"id":"r-1","credits_used":5e-05}}\n\n'


def chunk(**answer: Any) -> Chunk:
    return parse_chunk(json.dumps(answer))


def candidate(*parts: Any, **fields: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": list(parts)}, **fields}]}


def read(stream: bytes) -> tuple[list[Chunk], StreamError | None]:
    chunks: list[Chunk] = []
    try:
        for found in read_chunks([stream]):
            chunks.append(found)  # noqa: PERF402 - kept when the stream raises
    except StreamError as error:
        return chunks, error
    return chunks, None


class TestSampleStreams:
    @pytest.mark.parametrize("name", ["stream_camel.sse", "stream_snake.sse"])
    def test_reads_both_key_styles_alike(self, name: str) -> None:
        chunks, error = read(sample(name))

        assert error is None
        assert "".join(found.text for found in chunks) == "Create stunning videos in seconds."
        assert [found.finish_reason for found in chunks if found.finish_reason] == ["STOP"]
        usage = [found.usage for found in chunks if found.usage][-1]
        assert usage == {
            "prompt_token_count": 18,
            "candidates_token_count": 9,
            "thoughts_token_count": 41,
            "total_token_count": 68,
        }
        assert chunks[0].model_version == "gemini-2.5-flash"
        assert chunks[-1].receipt == RECEIPT

    def test_reads_everything_gemini_may_send(self) -> None:
        chunks, error = read(sample("stream_rich.sse"))

        assert error is None
        assert "".join(found.text for found in chunks) == "The weather: "
        assert "".join(found.thoughts for found in chunks) == "Let me think. "
        assert [call for found in chunks for call in found.function_calls] == [
            {"name": "get_weather", "args": {"location": "San Francisco"}, "id": "c1"},
            {"name": "get_time", "args": {}},
        ]
        assert [source["uri"] for found in chunks for source in found.citations] == [
            "https://example.com/"
        ]
        assert [found.usage for found in chunks[:4]] == [None] * 4
        assert chunks[4].usage is not None
        assert chunks[4].usage["prompt_tokens_details"] == [{"modality": "TEXT", "token_count": 20}]
        assert chunks[4].model_version == "gemini-3.5-flash-lite"

    def test_reads_a_blocked_prompt(self) -> None:
        chunks, error = read(sample("stream_blocked.sse"))

        assert error is None
        assert chunks[0].block_reason == "PROHIBITED_CONTENT"
        assert chunks[0].text == ""

    @pytest.mark.parametrize(
        ("name", "failure"),
        [
            ("stream_error_event.sse", ChunkFailure("UNAVAILABLE", "The model is overloaded.")),
            ("stream_error_bare.sse", ChunkFailure("UNAVAILABLE", "The model is overloaded.")),
            ("stream_error_named.sse", ChunkFailure("remote_failed", "Something broke")),
        ],
    )
    def test_yields_an_error_and_raises_it(self, name: str, failure: ChunkFailure) -> None:
        chunks, error = read(sample(name))

        assert [found.text for found in chunks] == ["Create ", ""]
        assert chunks[-1].error == failure
        assert error is not None
        assert error.code == failure.code
        assert failure.message not in str(error)

    def test_does_not_take_a_cut_event_for_an_end(self) -> None:
        chunks, error = read(sample("stream_cut.sse"))

        assert [found.text for found in chunks] == ["Create "]
        assert error is not None
        assert error.code == "stream_interrupted"


class TestEnds:
    @pytest.mark.parametrize(
        "stream",
        [
            b"",
            b": ping\n\n",
            b"data: [DONE]\n\n",
            b"<html>502</html>",
            b'data: {"candidates":[]}\n\n',
            b'data: {"creatify":null}\n\n',
            b'data: {"creatify":{"credits_used":1}}\n\n',
            b'{"detail":"hm"}',
        ],
    )
    def test_is_interrupted_without_a_receipt(self, stream: bytes) -> None:
        _chunks, error = read(stream)

        assert error is not None
        assert error.code == "stream_interrupted"

    @pytest.mark.parametrize(
        "stream",
        [
            RECEIPT_EVENT,
            RECEIPT_EVENT.rstrip(),
            RECEIPT_EVENT + b"data: [DONE]\n\n",
            RECEIPT_EVENT + b'data: {"usageMetadata":{"totalTokenCount":1}}\n\n',
            RECEIPT_EVENT + b"data: {cut",
            RECEIPT_EVENT.removeprefix(b"data: "),
            b'{\n "creatify": {"id": "r-1", "credits_used": 5e-05}\n}\n',
        ],
    )
    def test_is_complete_with_one(self, stream: bytes) -> None:
        chunks, error = read(stream)

        assert error is None
        assert chunks[0].receipt == Receipt("r-1", Decimal("0.00005"))

    @pytest.mark.parametrize("cost", [b"0", b"null", b'"?"'])
    def test_is_interrupted_if_it_goes_on_behind_a_receipt_without_cost(self, cost: bytes) -> None:
        text = b'"candidates":[{"content":{"parts":[{"text":"a"}]}}]'
        receipt = b'"creatify":{"id":"r-1","credits_used":' + cost + b"}"
        early = b"data: {" + text + b"," + receipt + b"}\n\n"
        for stream in (early, early * 2, b"data: {" + receipt + b"}\n\ndata: {" + text + b"}\n\n"):
            chunks, error = read(stream)
            assert (error and error.code, chunks[-1].text) == ("stream_interrupted", "a")

    def test_fails_with_an_error_beside_a_receipt(self) -> None:
        chunks, error = read(b'data: {"error":"no","creatify":{"id":"r-1"}}\n\n')

        assert chunks[0].receipt == Receipt("r-1", None)
        assert error is not None

    def test_does_not_yield_a_whole_object_of_a_cut_event(self) -> None:
        chunks, error = read(b'data: {"candidates":[]}')

        assert chunks == []
        assert error is not None

    @pytest.mark.parametrize("data", [b"hello", b"{", b"[]", b"null", b'"text"', b"[{},{}]"])
    def test_reads_only_the_receipt_behind_an_event_that_is_no_object(self, data: bytes) -> None:
        text = b'data: {"candidates":[{"content":{"parts":[{"text":"a"}]}}]}\n\n'

        chunks, error = read(text + b"data: " + data + b"\n\n" + text + RECEIPT_EVENT)

        assert error is not None
        assert error.code == "unreadable_answer"
        assert [found.text for found in chunks] == ["a", ""]
        assert chunks[-1].receipt == Receipt("r-1", Decimal("0.00005"))

    @given(st.lists(st.binary(max_size=30), max_size=10))
    def test_raises_nothing_else_for_any_bytes(self, blocks: list[bytes]) -> None:
        with pytest.raises(StreamError):
            list(read_chunks(blocks))


class TestErrors:
    @pytest.mark.parametrize(
        ("error", "failure"),
        [
            ("broken", ChunkFailure("remote_failed", "broken")),
            ({"code": 429, "message": "slow"}, ChunkFailure("remote_failed", "slow")),
            ({"code": "E_BUSY", "detail": "slow"}, ChunkFailure("E_BUSY", "slow")),
            ({"status": "bad word!", "message": None}, ChunkFailure("remote_failed", "")),
            (True, ChunkFailure("remote_failed", "")),
            ([1], ChunkFailure("remote_failed", "")),
        ],
        ids=str,
    )
    def test_reads_every_form(self, error: Any, failure: ChunkFailure) -> None:
        assert chunk(error=error).error == failure

    @pytest.mark.parametrize("error", [None, "", {}, False])
    def test_takes_nothing_for_no_error(self, error: Any) -> None:
        assert chunk(error=error).error is None

    def test_reads_the_data_of_an_event_named_error(self) -> None:
        found = parse_chunk('{"message": "no", "status": "INTERNAL"}', event_name="error")

        assert found.error == ChunkFailure("INTERNAL", "no")

    def test_makes_json_of_the_plain_text_of_an_event_named_error(self) -> None:
        found = parse_chunk("upstream exploded\n(2)", event_name="error")

        assert found.error == ChunkFailure("remote_failed", "upstream exploded\n(2)")
        assert json.loads(found.raw) == {"error": "upstream exploded\n(2)"}


class TestChunk:
    @pytest.mark.parametrize(
        "answer",
        [
            {},
            {"candidates": None},
            {"candidates": {}},
            {"candidates": [None]},
            {"candidates": [{"content": None, "finishReason": None, "citationMetadata": 1}]},
            {"candidates": [{"content": {"parts": None}}]},
            {"candidates": [{"content": {"parts": [None, 1, {"text": None, "functionCall": 1}]}}]},
            {"promptFeedback": "x", "usageMetadata": [], "modelVersion": 1, "creatify": []},
            {"usageMetadata": {"promptTokenCount": None}},
            {"candidates": [{"citationMetadata": {"citations": 7}}]},
        ],
        ids=str,
    )
    def test_tolerates_whatever_stands_in_a_field(self, answer: dict[str, Any]) -> None:
        found = chunk(**answer)

        assert (found.text, found.thoughts, found.function_calls) == ("", "", [])
        assert (found.finish_reason, found.block_reason, found.model_version) == ("", "", "")
        assert (found.usage, found.receipt, found.error) == (None, None, None)
        assert found.citations == []

    def test_keeps_the_text_of_the_event(self) -> None:
        raw = '{"a": "\\u0000", "b":1.50}'

        assert parse_chunk(raw).raw == raw

    def test_replaces_what_cannot_be_saved(self) -> None:
        found = chunk(
            **candidate(
                {"text": "a\x00b\ud800"},
                {"functionCall": {"name": "f\x00", "args": {"k\udfff": ["\x00", 1.5]}}},
            )
        )

        assert found.text == "a\ufffdb\ufffd"
        assert found.function_calls == [{"name": "f\ufffd", "args": {"k\ufffd": ["\ufffd", 1.5]}}]

    def test_keeps_real_surrogate_pairs(self) -> None:
        raw = '{"candidates":[{"content":{"parts":[{"text":"\\ud83d\\ude00"}]}}]}'

        assert parse_chunk(raw).text == "\U0001f600"

    def test_is_not_shown_in_reprs(self) -> None:
        assert "secret" not in repr(chunk(**candidate({"text": "secret"})))

    def test_compares_by_its_event(self) -> None:
        assert chunk(a=1) == chunk(a=1)
        assert hash(chunk(a=1)) == hash(chunk(a=1))
        assert chunk(a=1) != chunk(a=2)
        assert chunk(a=1) != parse_chunk('{"a": 1}', event_name="error")
        assert chunk(a=1) != "{}"

    @pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
    def test_reads_null_for_what_only_python_writes(self, constant: str) -> None:
        """Such as an average of nothing; no browser would read it."""
        said = json.dumps(candidate({"text": "NaN and Infinity: \u00fc"}, avgLogprobs=7))

        found = parse_chunk(said.replace("7", constant))

        assert found.text == "NaN and Infinity: \u00fc"
        assert json.loads(found.raw) == json.loads(said.replace("7", "null"))

    @pytest.mark.parametrize("number", ["9" * 5000, 'NaN, "b": 1e400'], ids=["long", "infinite"])
    def test_reads_a_receipt_beside_a_number_that_cannot_be_read(self, number: str) -> None:
        receipt = '"creatify": {"id": "r", "credits_used": 0.0005}'
        found = parse_chunk(f'{{"a": {number}, {receipt}}}')
        assert found.receipt is not None
        assert found.receipt.credits_used == Decimal("0.0005")
        assert json.loads(found.raw)["a"] is None

    @pytest.mark.parametrize("raw", ["[" * 100_000, '{"a":' * 100_000, "NaN", '{"a":NaN', "1e9"])
    def test_refuses_what_is_no_object_or_too_deep(self, raw: str) -> None:
        with pytest.raises(ContractError):
            parse_chunk(raw)


class TestRedacted:
    def test_has_no_secret_at_any_depth(self) -> None:
        levels = 800  # Python reads these, and cannot walk through them.
        raw = '{"a":' * levels + '"the-secret-key"' + "}" * levels
        chunk = parse_chunk('{"text": "a the-secret-key b", "deep": ' + raw + "}")

        clean = chunk.redacted(("the-secret-key",)).raw

        assert "the-secret-key" not in clean
        assert '"a [redacted] b"' in clean


class TestWords:
    @pytest.mark.parametrize("written", ["stop", "FinishReason.STOP", "STOP"])
    def test_of_a_finish_are_read_without_case_and_prefix(self, written: str) -> None:
        assert chunk(**candidate(finishReason=written)).finish_reason == "STOP"

    @pytest.mark.parametrize("written", ["safety", "BlockedReason.SAFETY"])
    def test_of_a_block_are_read_so_too(self, written: str) -> None:
        assert chunk(promptFeedback={"blockReason": written}).block_reason == "SAFETY"

    @pytest.mark.parametrize(
        "written", ["BLOCK_REASON_UNSPECIFIED", "BlockedReason.BLOCKED_REASON_UNSPECIFIED"]
    )
    def test_that_say_nothing_are_no_block(self, written: str) -> None:
        assert chunk(promptFeedback={"blockReason": written}).block_reason == ""

    @pytest.mark.parametrize("written", ["UNAVAILABLE", "Status.UNAVAILABLE"])
    def test_of_an_error_have_no_prefix(self, written: str) -> None:
        assert chunk(error={"status": written}).error == ChunkFailure("UNAVAILABLE", "")

    def test_for_a_person_come_along(self) -> None:
        finish = chunk(**candidate(finishReason="OTHER", finishMessage="Try later."))
        block = chunk(prompt_feedback={"block_reason": "OTHER", "block_reason_message": "No."})

        assert (finish.finish_message, block.block_message) == ("Try later.", "No.")


class TestOtherEvents:
    TEXT = b'data: {"candidates":[{"content":{"parts":[{"text":"Hello"}]}}]}\n\n'

    @pytest.mark.parametrize(
        "event",
        [
            b"event: ping\ndata: 2026-11-30 12:00:00\n\n",
            b"event: ping\ndata: {}x\n\n",
            b"event: heartbeat\ndata: null\n\n",
            b"event: ping\ndata\n\n",
            b"event: ping\n\n",
        ],
    )
    def test_are_skipped_and_lose_nothing(self, event: bytes) -> None:
        chunks, error = read(event + self.TEXT + event + self.TEXT + RECEIPT_EVENT + event)

        assert error is None
        assert [found.text for found in chunks] == ["Hello", "Hello", ""]

    def test_are_read_if_they_are_chunks(self) -> None:
        chunks, _error = read(b"event: chunk\n" + self.TEXT)

        assert [found.text for found in chunks] == ["Hello"]


class TestHalves:
    @staticmethod
    def event(*parts: str, thought: bool = False) -> bytes:
        kind = ', "thought": true' if thought else ""
        texts = ", ".join(f'{{"text": "{part}"{kind}}}' for part in parts)
        return f'data: {{"candidates":[{{"content":{{"parts":[{texts}]}}}}]}}\n\n'.encode()

    @pytest.mark.parametrize(
        "events",
        [
            [event(r"hi \ud83d"), event(r"\ude00 bye")],
            [event(r"hi \uD83D"), event(r"\uDE00 bye")],
            [event("hi "), event(r"\ud83d"), event(r"\ude00"), event(" bye")],
            [event(r"hi \ud83d", r"\ude00 b"), event("ye")],
            [event(r"hi \ud83d"), b": ping\n\n", event(""), event(r"\ude00 bye")],
            [event(r"hi \ud83d"), event(r"x \ud83d", thought=True), event(r"\ude00 bye")],
        ],
        ids=["two", "capitals", "by itself", "parts", "apart", "thoughts"],
    )
    def test_of_a_character_are_joined(self, events: list[bytes]) -> None:
        chunks, error = read(b"".join(events) + RECEIPT_EVENT)

        assert error is None
        assert "".join(found.text for found in chunks) == "hi \U0001f600 bye"
        # So does every reader of what is passed on.
        again = [parse_chunk(found.raw) for found in chunks]
        assert "".join(found.text for found in again) == "hi \U0001f600 bye"

    def test_of_thoughts_are_joined_apart(self) -> None:
        events = [
            self.event(r"\ud83d", thought=True),
            self.event(r"a\ud83d"),
            self.event(r"\ude00", thought=True),
            self.event(r"\ude01"),
        ]
        chunks, _error = read(b"".join(events))

        assert "".join(found.thoughts for found in chunks) == "\U0001f600"
        assert "".join(found.text for found in chunks) == "a\U0001f601"

    def test_that_find_no_other_become_one_mark(self) -> None:
        chunks, _error = read(self.event(r"a\ud83d") + self.event("b"))

        assert "".join(found.text for found in chunks) == "a\ufffdb"

    def test_leave_the_rest_of_a_chunk_as_it_is(self) -> None:
        first = b'data: {"candidates":[{"content":{"parts":[{"text":"\\ud83d"}]}}],"n":0.0005}\n\n'
        chunks, _error = read(first + self.event(r"\ude00"))

        assert json.loads(chunks[0].raw)["n"] == 0.0005

    def test_change_nothing_where_none_is_cut(self) -> None:
        event = self.event(r"hi \ud83d\ude00")
        chunks, _error = read(event)

        assert f"data: {chunks[0].raw}\n\n".encode() == event


class TestLimits:
    @pytest.mark.parametrize(
        "part",
        [
            '{"text": "xxxxxxxxxx"}',
            '{"text": "xxxxxxxxxx", "thought": true}',
            '{"functionCall": {"name": "f", "args": {"a": "xxxxxxxxxx"}}}',
        ],
        ids=["text", "thoughts", "calls"],
    )
    def test_end_an_answer_that_is_too_long(
        self, monkeypatch: pytest.MonkeyPatch, part: str
    ) -> None:
        monkeypatch.setattr(chunk_reader, "MAX_CHARACTERS", 500)
        event = f'data: {{"candidates":[{{"content":{{"parts":[{part}]}}}}]}}\n\n'.encode()

        chunks, error = read(event * 100)

        assert error is not None
        assert error.code == "stream_limit"
        assert 0 < len(chunks) <= 60  # up to 50 by their answers, after the first 500 of the JSON

    def test_read_on_for_the_receipt(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is above the limit was paid for all the same."""
        monkeypatch.setattr(chunk_reader, "MAX_CHARACTERS", 500)
        part = '{"candidates":[{"content":{"parts":[{"text":"xxxxxxxxxx"}]}}]'
        last = part + ',"creatify":{"id":"r","credits_used":0.5}}'
        stream = f"data: {part}}}\n\n" * 100 + f"data: {last}\n\n"
        chunks, error = read(stream.encode())
        assert error is not None
        assert error.code == "stream_limit"
        assert len(chunks) <= 61
        assert chunks[-1].receipt is not None
        assert chunks[-1].receipt.credits_used == Decimal("0.5")

    @pytest.mark.parametrize(("lists", "is_read"), [(90_000, True), (100_001, False)])
    def test_refuse_an_event_of_very_many_lists(self, lists: int, *, is_read: bool) -> None:
        event = 'data: {"candidates":[],"field":[' + "[]," * lists + "0]}\n\n"
        chunks, error = read(event.encode())
        assert error is not None
        assert (len(chunks), error.code) == (
            (1, "stream_interrupted") if is_read else (0, "unreadable_answer")
        )

    def test_end_fields_without_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is no answer is limited, too, though a field that is added later may be large."""
        monkeypatch.setattr(chunk_reader, "MAX_CHARACTERS", 100)
        monkeypatch.setattr(chunk_reader, "MAX_JSON_CHARACTERS", 500)
        chunks, error = read(b'data: {"field":"xxxxxxxxxxxxxxxx"}\n\n' * 100)
        assert error is not None
        assert error.code == "stream_limit"
        assert 0 < len(chunks) <= 20

    def test_of_a_text_about_functions_are_counted_by_their_text(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(chunk_reader, "MAX_CHARACTERS", 500)
        event = b'data: {"candidates":[{"content":{"parts":[{"text": "function"}]}}]}\n\n'
        chunks, error = read(event * 50)
        assert error is not None
        assert (error.code, len(chunks)) == ("stream_interrupted", 50)

    @pytest.mark.parametrize("event", [b"data: {}\n\n", b"event: ping\ndata: x\n\n"])
    def test_end_events_without_end(self, monkeypatch: pytest.MonkeyPatch, event: bytes) -> None:
        monkeypatch.setattr(chunk_reader, "MAX_EVENTS", 50)

        _chunks, error = read(event * 51)

        assert error is not None
        assert error.code == "stream_limit"
