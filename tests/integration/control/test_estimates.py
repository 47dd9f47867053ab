"""What is learned from settled generations, and what is not made up."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.cache import cache
from django.test.utils import CaptureQueriesContext

from creatify_textgen import databases, services
from creatify_textgen.control import estimates
from tests.factories import NOW, make_generation, save_usage

pytestmark = pytest.mark.django_db

MODEL = "gemini-2.5-flash"


@pytest.fixture(autouse=True)
def _learn_again() -> None:
    cache.clear()


def settle(cost: Any, *, tokens: int | None = None, **fields: Any) -> None:
    usage = None if tokens is None else {"total_token_count": tokens}
    row = {"status": "done", "model_name": MODEL, "finished_at": NOW, **fields}
    make_generation(credits_used=cost, content={"usage": usage}, **row)


class TestEstimate:
    def test_is_the_median_and_what_95_of_100_cost_at_most(self) -> None:
        for cost in range(1, 101):
            settle(Decimal(cost))
        found = services.estimate(MODEL)
        assert (found.sample, found.median, found.p95, found.mean) == (100, 50, 95, Decimal("50.5"))
        assert found.since is not None

    def test_knows_nothing_of_a_model_that_was_never_used(self) -> None:
        settle(Decimal(1))
        found = services.estimate("other")
        assert (found.sample, found.median, found.p95, found.mean) == (0, None, None, None)

    @pytest.mark.parametrize(
        "fields", [{"credits_used": None}, {"credits_used": 1, "status": "failed"}], ids=str
    )
    def test_learns_nothing_from_unknown_costs_and_failures(self, fields: dict[str, Any]) -> None:
        settle(fields.pop("credits_used"), **fields)
        assert services.estimate(MODEL).sample == 0

    def test_has_the_cost_of_tokens_where_streams_counted_them(self) -> None:
        settle(Decimal("0.5"), tokens=250)
        settle(Decimal("0.5"), tokens=1000)
        settle(Decimal(9))
        settle(Decimal(9), tokens=0)
        found = services.estimate(MODEL)
        assert (found.token_sample, found.sample) == (2, 4)
        assert (found.median_per_1000_tokens, found.p95_per_1000_tokens) == (Decimal("0.5"), 2)

    def test_falls_back_to_the_mean_of_older_ones(self, monkeypatch: pytest.MonkeyPatch) -> None:
        save_usage(
            day=NOW.date(), model_name=MODEL, status="done", generations=3,
            credits_used=4, credits_unknown=1,
        )  # fmt: skip
        found = services.estimate(MODEL)
        assert (found.mean, found.median, found.reserved) == (2, None, 2)

    def test_is_of_the_default_model_where_none_is_named(self) -> None:
        assert services.estimate().model_name == "gemini-3-flash-preview"

    def test_costs_no_query_while_it_is_remembered(self) -> None:
        settle(Decimal(1))
        services.estimate(MODEL)
        with CaptureQueriesContext(databases.connection()) as captured:
            assert services.estimate(MODEL).median == 1
        assert len(captured) == 0

    def test_reads_a_bounded_number_of_rows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(estimates, "SAMPLE", 2)
        for cost in (1, 1, 1):
            settle(Decimal(cost))
        assert services.estimate(MODEL).sample == 2

    def test_works_without_a_cache(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: Any) -> None:
            raise OSError

        monkeypatch.setattr("django.core.cache.backends.locmem.LocMemCache.get", fail)
        settle(Decimal(1))
        assert services.estimate(MODEL).median == 1

    def test_has_an_async_twin(self) -> None:
        settle(Decimal(1))
        assert async_to_sync(services.aestimate)(MODEL).median == 1
