"""What is known of the models."""

from __future__ import annotations

from datetime import date

import pytest

from creatify_textgen.conf import DEFAULTS
from creatify_textgen.remote import facts_of
from creatify_textgen.remote.catalog import MODELS

EVE, END = date(2026, 11, 30), date(2026, 12, 1)


class TestFacts:
    def test_are_there_for_each_model_that_is_suggested(self) -> None:
        assert {*DEFAULTS["MODELS"]} <= {facts.name for facts in MODELS}

    def test_name_a_successor_where_they_name_an_end(self) -> None:
        assert [facts.name for facts in MODELS if facts.ends_on and not facts.successor] == []

    @pytest.mark.parametrize(("today", "has_ended"), [(EVE, False), (END, True)])
    def test_count_a_model_as_ended_from_its_day_on(self, today: date, has_ended: bool) -> None:
        assert facts_of("gemini-2.5-flash").has_ended(today) is has_ended

    def test_name_the_penalties_that_no_model_since_2_5_accepts(self) -> None:
        assert {facts.refuses for facts in MODELS} == {("presence_penalty", "frequency_penalty")}

    def test_leave_the_default_model_without_an_end(self) -> None:
        assert facts_of(DEFAULTS["DEFAULT_MODEL"]).ends_on is None
