"""What is kept of an outcome, and what of one that a database refuses."""

from __future__ import annotations

from decimal import Decimal

import pytest

from creatify_textgen.lifecycle import Outcome

TOLD = Outcome(
    remote_id="r1",
    credits_used=Decimal("0.5"),
    partial=False,
    response_text="It was",
    response_thoughts="Hm.",
    response_function_calls=[{"name": "f", "args": {}}],
    failed_reason="Why.",
    usage={"total_token_count": 7},
    citations=[{"uri": "https://example.com"}],
)


class TestReason:
    @pytest.mark.parametrize("reason", ["", "Why.", "x" * 10_000], ids=len)
    def test_is_kept_whole(self, reason: str) -> None:
        assert Outcome(failed_reason=reason).content_fields() == {"failed_reason": reason}

    def test_of_any_length_is_cut_and_marked(self) -> None:
        kept = Outcome(failed_reason="x" * 5_000_000).content_fields()["failed_reason"]
        assert kept == "x" * 9_994 + " [cut]"

    def test_not_told_stays_so(self) -> None:
        assert Outcome().content_fields() == {}


class TestRefused:
    def test_gives_up_json_first(self) -> None:
        kept = TOLD.without_json()
        assert kept.row_fields() == {**TOLD.row_fields(), "partial": True}
        assert kept.content_fields() == {
            "response_text": "It was",
            "response_thoughts": "Hm.",
            "failed_reason": "Why.",
        }

    @pytest.mark.parametrize("partial", [None, False, True])
    def test_is_as_whole_as_before_where_no_call_was_given_up(self, partial: bool | None) -> None:
        reported = Outcome(partial=partial, response_function_calls=[], usage={"a": 1})
        assert reported.without_json() == Outcome(partial=partial)

    def test_keeps_the_receipt_and_the_reason_in_any_case(self) -> None:
        kept = TOLD.without_answer()
        assert kept.row_fields() == {**TOLD.row_fields(), "partial": True}
        assert kept.content_fields() == {"failed_reason": "Why."}
