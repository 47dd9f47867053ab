"""What the end of a stream means for its row."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from creatify_textgen.exceptions import StreamError
from creatify_textgen.remote import parse_chunk
from creatify_textgen.states import Status
from creatify_textgen.streams.hub import Position
from creatify_textgen.streams.transcript import Transcript
from creatify_textgen.streams.verdicts import judge

RECEIPT = {"creatify": {"id": "r-1", "credits_used": 0.0005}}


def received(*chunks: dict[str, Any]) -> Transcript:
    transcript = Transcript()
    for chunk in chunks:
        transcript.add(parse_chunk(json.dumps(chunk)))
    return transcript


def said(text: str, *, thought: bool = False, **candidate: Any) -> dict[str, Any]:
    part = {"text": text} | ({"thought": True} if thought else {})
    return {"candidates": [{"content": {"role": "model", "parts": [part]}, **candidate}]}


class TestTranscript:
    def test_keeps_thoughts_apart_and_counts_all(self) -> None:
        call = {"functionCall": {"name": "wave", "args": {}}}
        calling = {"candidates": [{"content": {"parts": [call, call]}}]}
        transcript = received(said("Hm.", thought=True), said("Yes"), calling)
        assert transcript.spoken() == ("Yes", "Hm.")
        assert transcript.position == Position(3, 3, 3, 2)

    def test_takes_the_last_counts_and_the_model_that_answered(self) -> None:
        transcript = received(
            said("a") | {"usageMetadata": {"totalTokenCount": 3}, "modelVersion": "m"},
            said('the "totalTokenCount": 9') | {"usageMetadata": {"trafficType": "ON_DEMAND"}},
            {"usage_metadata": {"total_token_count": 5}, "model_version": "m-2"},
            RECEIPT,
        )
        outcome = transcript.outcome(error_code="", partial=False)
        assert outcome.usage == {"total_token_count": 5}
        assert outcome.model_version == "m-2"
        assert (outcome.remote_id, outcome.credits_used) == ("r-1", Decimal("0.0005"))


class TestJudge:
    @pytest.mark.parametrize(
        ("finish_reason", "status", "code"),
        [
            ("STOP", Status.DONE, ""),
            ("", Status.DONE, ""),
            ("MAX_TOKENS", Status.DONE, ""),
            ("SAFETY", Status.FAILED, "blocked"),
            ("PROHIBITED_CONTENT", Status.FAILED, "blocked"),
            ("MALFORMED_FUNCTION_CALL", Status.FAILED, "malformed_function_call"),
            ("A_WORD_OF_NEXT_YEAR", Status.FAILED, "remote_failed"),
        ],
    )
    def test_reads_the_finish_reason(self, finish_reason: str, status: Status, code: str) -> None:
        verdict = judge(received(said("Yes", finishReason=finish_reason) | RECEIPT), error=None)
        assert (verdict.status, verdict.code) == (status, code)
        assert verdict.outcome.credits_used == Decimal("0.0005")
        assert verdict.outcome.response_text == "Yes"

    @pytest.mark.parametrize("word", ["stop", "FinishReason.STOP"])
    def test_reads_a_word_without_case_and_prefix(self, word: str) -> None:
        verdict = judge(received(said("Yes", finishReason=word) | RECEIPT), error=None)
        assert (verdict.status, verdict.outcome.finish_reason) == (Status.DONE, "STOP")

    @pytest.mark.parametrize(
        "chunk",
        [
            said("", finishReason="SAFETY", finishMessage="It is about cats."),
            {"promptFeedback": {"blockReason": "OTHER", "blockReasonMessage": "It is about cats."}},
            said("", finishReason="LANGUAGE", finishMessage="It is about cats."),
        ],
        ids=["blocked answer", "blocked prompt", "early end"],
    )
    def test_gives_the_remotes_words_beside_ours(self, chunk: dict[str, Any]) -> None:
        verdict = judge(received(chunk, RECEIPT), error=None)
        assert verdict.outcome.failed_reason is not None
        assert verdict.outcome.failed_reason.endswith("). It is about cats.")
        assert verdict.message == verdict.outcome.failed_reason

    def test_knows_a_prompt_whose_block_is_unspecified_for_fine(self) -> None:
        fine = {"promptFeedback": {"blockReason": "BLOCK_REASON_UNSPECIFIED"}}
        assert judge(received(said("Yes") | fine, RECEIPT), error=None).status == Status.DONE

    @pytest.mark.parametrize(("last", "status"), [(RECEIPT, Status.FAILED), ({}, None)])
    def test_keeps_what_came_before_a_limit(
        self, last: dict[str, Any], status: Status | None
    ) -> None:
        limit = StreamError("The answer is above 3 characters.", code="stream_limit")
        verdict = judge(received(said("Yes"), last), error=limit)
        assert (verdict.status, verdict.code) == (status, "stream_limit")
        assert (verdict.outcome.response_text, verdict.outcome.partial) == ("Yes", True)

    def test_marks_a_truncated_answer(self) -> None:
        verdict = judge(received(said("Ye", finishReason="MAX_TOKENS") | RECEIPT), error=None)
        assert (verdict.outcome.error_code, verdict.outcome.partial) == ("truncated", False)

    def test_keeps_the_cost_of_a_blocked_prompt(self) -> None:
        blocked = {"promptFeedback": {"blockReason": "SAFETY"}}
        verdict = judge(received(blocked, RECEIPT), error=None)
        assert (verdict.status, verdict.code) == (Status.FAILED, "blocked")
        assert verdict.outcome.credits_used == Decimal("0.0005")
        assert not verdict.outcome.partial

    @pytest.mark.parametrize(
        ("failure", "code"),
        [
            ({"code": 503, "status": "UNAVAILABLE", "message": "Busy"}, "remote_unavailable"),
            ({"status": "RESOURCE_EXHAUSTED", "message": "quota"}, "rate_limited"),
            ({"status": "INTERNAL"}, "remote_failed"),
            ("You have no credits left", "insufficient_credits"),
            ("An accredited source is missing", "remote_failed"),
            ("Oops", "remote_failed"),
        ],
    )
    def test_gives_errors_inside_the_stream_stable_codes(self, failure: Any, code: str) -> None:
        transcript = received(said("Ye"), {"error": failure})
        verdict = judge(transcript, error=StreamError("it failed"))
        assert (verdict.status, verdict.code) == (Status.FAILED, code)
        assert verdict.outcome.partial
        assert verdict.outcome.response_text == "Ye"

    def test_believes_a_receipt_whatever_comes_behind_it(self) -> None:
        verdict = judge(received(said("Yes"), RECEIPT), error=StreamError("an odd event"))
        assert (verdict.status, verdict.code) == (Status.DONE, "")
        assert verdict.outcome.remote_id == "r-1"

    @pytest.mark.parametrize(
        "chunk",
        [{"promptFeedback": {"blockReason": "SAFETY"}}, said("Ye", finishReason="SAFETY")],
        ids=["the prompt", "the answer"],
    )
    def test_knows_a_block_without_a_receipt(self, chunk: dict[str, Any]) -> None:
        verdict = judge(received(chunk), error=StreamError("cut"))
        assert (verdict.status, verdict.code) == (Status.FAILED, "blocked")
        assert verdict.outcome.credits_used is None

    def test_keeps_all_that_a_cut_stream_told(self) -> None:
        call = {"name": "wave", "args": {"hand": "left"}}
        counts = {"usageMetadata": {"totalTokenCount": 9}, "modelVersion": "m-2"}
        calling = {"candidates": [{"content": {"parts": [{"functionCall": call}]}}]} | counts
        ending = {"candidates": [{"finishReason": "STOP"}]}
        outcome = judge(received(calling, ending), error=StreamError("cut")).outcome
        assert outcome.response_function_calls == [call]
        assert (outcome.model_version, outcome.finish_reason) == ("m-2", "STOP")
        assert outcome.usage is not None
        assert outcome.usage["total_token_count"] == 9
        assert outcome.partial

    def test_calls_nothing_partial_where_nothing_was_said(self) -> None:
        outcome = judge(received({"usageMetadata": {}}), error=StreamError("cut")).outcome
        assert outcome.partial is False

    def test_leaves_a_cut_stream_open(self) -> None:
        verdict = judge(received(said("Ye")), error=StreamError("cut"))
        assert (verdict.status, verdict.code) == (None, "stream_interrupted")


class TestReceipts:
    """The remote writes 0 for a cost that it does not know yet."""

    def early(self, **fields: Any) -> dict[str, Any]:
        return {"creatify": {"id": "r-1", **fields}}

    @pytest.mark.parametrize("later", [{"credits_used": 0}, {"credits_used": None}, {}])
    def test_that_know_no_cost_replace_none_that_does(self, later: dict[str, Any]) -> None:
        verdict = judge(received(said("Hi"), RECEIPT, self.early(**later)), error=None)
        assert (verdict.status, verdict.outcome.credits_used) == ("done", Decimal("0.0005"))

    def test_that_know_the_cost_replace_others(self) -> None:
        verdict = judge(received(said("Hi"), self.early(credits_used=0), RECEIPT), error=None)
        assert (verdict.status, verdict.outcome.credits_used) == ("done", Decimal("0.0005"))

    @pytest.mark.parametrize(
        "chunks",
        [
            [{**said("Hi"), "creatify": {"id": "r-1", "credits_used": 0}}],
            [{**said("H"), "creatify": {"id": "r-1"}}, said("i")],
            [{"creatify": {"id": "r-1", "credits_used": 0}}, said("Hi")],
            [{**said(text), "creatify": {"id": "r-1", "credits_used": 0}} for text in "Hi"],
        ],
        ids=["with text", "before text", "alone before text", "with each text"],
    )
    def test_that_come_early_only_name_the_generation(self, chunks: list[dict[str, Any]]) -> None:
        cut = StreamError("cut")
        verdict = judge(received(*chunks), error=cut)
        assert (verdict.status, verdict.outcome.response_text) == (None, "Hi")
        assert (verdict.outcome.remote_id, verdict.outcome.credits_used) == ("r-1", None)

        ended = received(*chunks, said("", finishReason="STOP"))
        verdict = judge(ended, error=cut)
        assert (verdict.status, verdict.outcome.credits_used) == ("done", None)

    @pytest.mark.parametrize(
        "chunks",
        [
            [said("H") | RECEIPT, said("i")],
            [said("H") | RECEIPT, said("i") | RECEIPT],
            [said("H") | {"creatify": {"id": "r-1", "credits_used": 0.0001}}, said("i") | RECEIPT],
        ],
        ids=["once", "with each text", "with a growing cost"],
    )
    def test_that_the_answer_goes_on_after_are_no_end_whatever_they_cost(
        self, chunks: list[dict[str, Any]]
    ) -> None:
        cut = StreamError("cut")
        verdict = judge(received(*chunks), error=cut)
        assert (verdict.status, verdict.outcome.partial) == (None, True)
        assert (verdict.outcome.remote_id, verdict.outcome.credits_used) == (
            "r-1",
            Decimal("0.0005"),
        )

        ended = received(*chunks, said("", finishReason="STOP") | RECEIPT)
        assert judge(ended, error=cut).status == Status.DONE

    def test_that_come_early_leave_a_stopped_or_endless_stream_to_be_polled(self) -> None:
        early = said("H") | self.early(credits_used=0)
        stopped = received(early)
        stopped.is_stopped = True
        assert judge(stopped, error=StreamError("cut")).status is None
        assert judge(received(early), error=StreamError("long", code="stream_limit")).status is None
