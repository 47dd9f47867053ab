"""Chunks in every key style, and the ends of streams."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creatify_textgen.exceptions import ContractError, StreamError
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
            {"name": "get_weather", "args": {"location": "San Francisco"}},
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

    @pytest.mark.parametrize("raw", ["[" * 100_000, '{"a":' * 100_000, "NaN", '{"a":NaN', "1e9"])
    def test_refuses_what_is_no_object_or_too_deep(self, raw: str) -> None:
        with pytest.raises(ContractError):
            parse_chunk(raw)
