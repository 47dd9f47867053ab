"""Streams as bytes: framing, key styles, contents and faults."""

from __future__ import annotations

import json
from typing import Any

import pytest

from creatify_textgen.emulator.api.streams import RenderedStream, ping_event, render_stream
from tests.unit.emulator.builders import (
    CREATED_AT,
    GENERATION_ID,
    generation_with,
    settings_with,
    weather_request,
)


def rendered(**switches: Any) -> RenderedStream:
    return render_stream(generation_with(mode="stream", **switches))


def chunks(stream: RenderedStream, *, end: bytes = b"\n") -> list[dict[str, Any]]:
    events = b"".join(stream.events).split(end * 2)
    return [json.loads(event.removeprefix(b"data: ")) for event in events if event]


def text_of(found: list[dict[str, Any]]) -> str:
    parts = [
        part
        for chunk in found
        for candidate in chunk.get("candidates", [])
        for part in candidate.get("content", {}).get("parts", [])
    ]
    return "".join(part["text"] for part in parts if "text" in part and not part.get("thought"))


class TestText:
    def test_is_the_answer_in_pieces(self) -> None:
        generation = generation_with(mode="stream")
        found = chunks(render_stream(generation))
        assert len(found) > 3
        assert text_of(found) == generation.answer.text

    @pytest.mark.parametrize("count", [1, 2, 7, 400])
    def test_comes_in_the_number_of_chunks_switched_on(self, count: int) -> None:
        generation = generation_with(mode="stream", chunk_count=count)
        stream = render_stream(generation)
        assert len(stream.events) == count
        assert text_of(chunks(stream)) == generation.answer.text

    def test_survives_quotes_and_line_ends_in_it(self) -> None:
        request = {
            "model_name": "gemini-2.5-flash",
            "messages": [{"role": "user", "content": 'a "quoted"\n\u2028 line \x00 é'}],
        }
        generation = generation_with(request, mode="stream")
        assert text_of(chunks(render_stream(generation))) == generation.answer.text

    def test_ends_with_the_reason_the_usage_and_creatify(self) -> None:
        *earlier, last = chunks(rendered())
        assert last["candidates"][0]["finishReason"] == "STOP"
        assert last["usageMetadata"]["candidatesTokenCount"] > 0
        assert last["creatify"]["id"] == GENERATION_ID
        assert last["creatify"]["credits_used"] > 0
        assert not any("creatify" in chunk for chunk in earlier)
        assert {chunk["responseId"] for chunk in [*earlier, last]} == {last["responseId"]}

    def test_may_be_empty(self) -> None:
        assert text_of(chunks(rendered(final_state="empty"))) == ""


class TestStyle:
    def test_can_end_lines_in_crlf(self) -> None:
        stream = rendered(stream_separator="crlf")
        assert all(event.endswith(b"\r\n\r\n") for event in stream.events)
        assert text_of(chunks(stream, end=b"\r\n"))

    def test_can_be_snake_case_with_nulls(self) -> None:
        last = chunks(rendered(stream_keys="snake"))[-1]
        candidate = last["candidates"][0]
        assert candidate["finish_reason"] == "STOP"
        assert candidate["citation_metadata"] is None
        assert candidate["content"]["parts"][0]["function_call"] is None
        assert last["usage_metadata"]["total_token_count"] > 0
        assert last["prompt_feedback"] is None
        assert last["creatify"]["credits_used"] > 0

    def test_leaves_arguments_as_they_are(self) -> None:
        generation = generation_with(weather_request(), mode="stream", stream_keys="snake")
        generation.answer.function_calls[0]["args"] = {"camelCase": 1}
        part = chunks(render_stream(generation))[-1]["candidates"][0]["content"]["parts"][0]
        assert part["function_call"]["args"] == {"camelCase": 1}

    def test_can_give_creatify_an_event_of_its_own(self) -> None:
        last = chunks(rendered(stream_creatify="own"))[-1]
        assert set(last) == {"creatify"}

    def test_can_look_like_vertex(self) -> None:
        first, *_, last = chunks(rendered(stream_usage="vertex"))
        assert first["usageMetadata"] == {"trafficType": "ON_DEMAND"}
        assert first["createTime"].startswith("2026-11-22T17:00:00")
        assert "index" not in first["candidates"][0]
        assert last["usageMetadata"]["totalTokenCount"] > 0

    def test_can_name_another_model(self) -> None:
        assert chunks(rendered(model_version="gemini-3.5"))[0]["modelVersion"] == "gemini-3.5"

    def test_pings_are_comments(self) -> None:
        ping = ping_event(settings_with(stream_separator="crlf"), now=lambda: CREATED_AT)
        assert ping == b": ping - 2026-11-22 17:00:00.123456+00:00\r\n\r\n"


class TestContent:
    def test_thoughts_are_marked(self) -> None:
        found = chunks(rendered(stream_content="thoughts", thinking_tokens=9))
        assert found[0]["candidates"][0]["content"]["parts"][0]["thought"] is True
        assert found[-1]["usageMetadata"]["thoughtsTokenCount"] == 9

    def test_signature_comes_alone(self) -> None:
        parts = chunks(rendered(stream_content="signature_only"))[-1]["candidates"][0]["content"]
        assert parts["parts"][0]["text"] == ""
        assert parts["parts"][0]["thoughtSignature"]

    def test_candidates_may_lack_parts_and_content(self) -> None:
        first, *_, last = chunks(rendered(stream_content="no_content"))
        assert first["candidates"][0]["content"] == {"role": "model"}
        assert "content" not in last["candidates"][0]

    def test_each_chunk_may_say_stop(self) -> None:
        found = chunks(rendered(stream_content="finish_each"))
        assert all(chunk["candidates"][0]["finishReason"] == "STOP" for chunk in found)

    def test_prompt_may_be_blocked(self) -> None:
        (only,) = chunks(rendered(stream_content="prompt_block"))
        assert only["promptFeedback"] == {"blockReason": "PROHIBITED_CONTENT"}
        assert "candidates" not in only

    def test_safety_may_stop_it(self) -> None:
        candidate = chunks(rendered(stream_content="safety"))[-1]["candidates"][0]
        assert candidate["finishReason"] == "SAFETY"
        assert "content" not in candidate

    def test_function_calls_come_whole(self) -> None:
        generation = generation_with(weather_request(), mode="stream", function_call_count=2)
        parts = chunks(render_stream(generation))[-1]["candidates"][0]["content"]["parts"]
        assert parts[0] == {
            "functionCall": {"name": "get_weather", "args": {"location": "San Francisco"}}
        }
        assert len(parts) == 2

    def test_finish_reason_is_open(self) -> None:
        last = chunks(rendered(finish_reason="ESCALATION"))[-1]
        assert last["candidates"][0]["finishReason"] == "ESCALATION"


class TestFault:
    @pytest.mark.parametrize(
        ("fault", "tail"),
        [
            ("error_event", b'data: {"error":{"code":503,'),
            ("error_text_event", b'data: {"error":"'),
            ("named_error_event", b'event: error\ndata: {"error":"'),
            ("raw_json_tail", b'{\n  "error": {\n'),
        ],
    )
    def test_errors_end_the_stream_half_way(self, fault: str, tail: bytes) -> None:
        stream = rendered(stream_fault=fault)
        assert stream.events[-1].startswith(tail)
        assert 1 < len(stream.events) < len(rendered().events)
        assert stream.ending == "complete"
        assert b"creatify" not in b"".join(stream.events)

    @pytest.mark.parametrize("cut", ["close", "reset", "complete"])
    def test_cut_leaves_half_an_event(self, cut: str) -> None:
        stream = rendered(stream_fault="cut_mid_event", stream_cut=cut)
        assert not stream.events[-1].endswith(b"\n")
        assert stream.ending == cut

    def test_creatify_may_be_missing(self) -> None:
        stream = rendered(stream_fault="cut_without_creatify")
        assert text_of(chunks(stream)) == generation_with(mode="stream").answer.text
        assert b"creatify" not in b"".join(stream.events)

    def test_it_may_fall_silent(self) -> None:
        assert rendered(stream_fault="silence").ending == "hang"

    def test_it_may_be_empty(self) -> None:
        assert rendered(stream_fault="empty_body").events == []

    def test_done_marker_comes_last(self) -> None:
        assert rendered(stream_fault="done_marker").events[-1] == b"data: [DONE]\n\n"

    def test_drip_sends_the_same_bytes_in_small_pieces(self) -> None:
        stream = rendered(stream_fault="drip")
        assert max(map(len, stream.events)) <= 16
        assert b"".join(stream.events) == b"".join(rendered().events)

    def test_a_stream_of_one_chunk_has_nothing_before_its_error(self) -> None:
        stream = rendered(stream_fault="error_event", chunk_count=1)
        assert len(stream.events) == 1
