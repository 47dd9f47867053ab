"""The day's sums: by day, account, owner, model and status, added and corrected once."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.db.models import Sum

from creatify_textgen import clock, lifecycle
from creatify_textgen.lifecycle import Arrival, Outcome, rollup
from creatify_textgen.models import Generation, UsageDay, UsageTotal
from creatify_textgen.states import Cause, Status
from tests.factories import NOW, make_generation

pytestmark = pytest.mark.django_db


def finish(*rows: Generation, credits_used: str | None = None, now: Any = NOW) -> None:
    cost = None if credits_used is None else Decimal(credits_used)
    arrivals = {row.pk: Arrival(Outcome(credits_used=cost)) for row in rows}
    lifecycle.mark_arrived(arrivals, to=Status.DONE, cause=Cause.POLL, now=now)


def make_pending(**fields: Any) -> Generation:
    return make_generation(status=Status.PENDING, **fields)


def sums() -> list[tuple[Any, ...]]:
    names = ("generations", "credits_used", "credits_unknown")
    return list(UsageDay.objects.order_by("model_name", "account").values_list(*names))


def totals() -> list[tuple[Any, ...]]:
    """Return the sums of all shards, by model and account."""
    names = ("generations", "credits_used", "credits_unknown")
    groups = UsageTotal.objects.order_by("model_name", "account").values("model_name", "account")
    return list(
        groups.annotate(**{f"{n}_": Sum(n) for n in names}).values_list(*(f"{n}_" for n in names))
    )


class TestTotals:
    def test_add_up_all_owners(self) -> None:
        owners = [User.objects.create_user(name) for name in ("ada", "bob")]
        finish(*(make_pending(owner=owner) for owner in [*owners, None]), credits_used="0.5")
        finish(make_pending(owner=owners[0]))
        assert totals() == [(4, Decimal("1.5"), 1)]

    def test_are_kept_apart_by_account_and_model(self) -> None:
        finish(make_pending(), make_pending(model_name="other"), make_pending(account="other"))
        assert totals() == [(1, Decimal(), 1)] * 3

    def test_follow_a_correction(self) -> None:
        finish(row := make_pending())
        finish(make_pending(), credits_used="1")
        row.refresh_from_db()
        lifecycle.correct_credits(row, Decimal("0.25"))
        assert sums() == totals() == [(2, Decimal("1.25"), 0)]


class TestSums:
    def test_add_up_over_a_batch_and_over_batches(self) -> None:
        finish(make_pending(), make_pending(), credits_used="0.25")
        finish(make_pending(), credits_used="1")
        finish(make_pending(), make_pending())
        assert sums() == [(5, Decimal("1.5"), 2)]

    def test_are_kept_apart_by_each_of_their_columns(self) -> None:
        ada = User.objects.create_user("ada")
        finish(
            make_pending(),
            make_pending(model_name="other"),
            make_pending(account="other"),
            make_pending(owner=ada),
            credits_used="1",
        )
        finish(make_pending(), credits_used="1", now=NOW + timedelta(days=1))
        assert sums() == [(1, Decimal(1), 0)] * 5
        assert UsageDay.objects.get(account="other").owner is None
        assert UsageDay.objects.get(owner=ada).model_name == "gemini-2.5-flash"
        assert set(UsageDay.objects.values_list("model_name", flat=True)) == {
            "gemini-2.5-flash",
            "other",
        }

    def test_go_on_where_an_earlier_release_left_off(self) -> None:
        parts = ("2020-11-22", "default", "None", "gemini-2.5-flash", "done")
        key = UUID(hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32], version=5)
        names = {"account": "default", "model_name": "gemini-2.5-flash", "status": "done"}
        UsageDay.objects.create(key=key, day=date(2020, 11, 22), generations=3, **names)
        finish(make_pending(), credits_used="1")
        assert sums() == [(4, Decimal(1), 0)]

    def test_leave_other_days_alone(self) -> None:
        finish(make_pending(), credits_used="1")
        finish(make_pending(model_name="other"), credits_used="2")
        assert sums() == [(1, Decimal(1), 0), (1, Decimal(2), 0)]

    def test_bear_a_row_that_another_transaction_made_meanwhile(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        finish(make_pending(), make_pending(model_name="other"), credits_used="1")
        monkeypatch.setattr(rollup, "_locked", lambda table, keys: table.objects.none())
        finish(make_pending(), make_pending(model_name="other"), credits_used="2")
        assert sums() == totals() == [(2, Decimal(3), 0)] * 2


class TestDay:
    @pytest.mark.parametrize(
        "now",
        [
            pytest.param(datetime(2020, 11, 22, 23, 59, tzinfo=UTC), id="UTC"),
            pytest.param(
                datetime(2020, 11, 22, 15, 30, tzinfo=ZoneInfo("America/Los_Angeles")), id="Pacific"
            ),
            pytest.param(datetime(2020, 11, 23, 1, tzinfo=ZoneInfo("Asia/Tokyo")), id="Tokyo"),
        ],
    )
    def test_is_the_day_in_utc(self, now: datetime) -> None:
        finish(make_pending(), now=now)
        assert UsageDay.objects.get().day == date(2020, 11, 22)

    def test_of_a_site_without_time_zones_is_the_day_in_utc(self, settings: Any) -> None:
        settings.TIME_ZONE = "America/Los_Angeles"
        assert clock.utc_day(datetime(2020, 11, 22, 17)) == date(2020, 11, 23)  # noqa: DTZ001


class TestCorrection:
    def make_done(self, credits_used: str | None) -> Generation:
        row = make_pending()
        finish(row, credits_used=credits_used)
        row.refresh_from_db()
        return row

    def test_adds_the_difference(self) -> None:
        row = self.make_done("0.5")
        assert lifecycle.correct_credits(row, Decimal("0.75"))
        assert sums() == [(1, Decimal("0.75"), 0)]
        assert row.credits_used == Decimal("0.75")

    def test_makes_the_unknown_known(self) -> None:
        row = self.make_done(None)
        assert lifecycle.correct_credits(row, Decimal("0.75"))
        assert sums() == [(1, Decimal("0.75"), 0)]

    @pytest.mark.parametrize("before", ["0.5", None])
    def test_touches_no_other_row(self, before: str | None) -> None:
        row, other = self.make_done(before), self.make_done(before)
        lifecycle.correct_credits(row, Decimal(7))
        other.refresh_from_db()
        assert other.credits_used == (None if before is None else Decimal(before))

    def test_is_lost_to_one_that_came_meanwhile(self) -> None:
        row = self.make_done("0.5")
        Generation.objects.update(credits_used=Decimal(3))
        assert not lifecycle.correct_credits(row, Decimal(7))
        assert Generation.objects.get().credits_used == Decimal(3)

    def test_finds_the_day_of_an_owner_who_is_no_more(self) -> None:
        ada, bob = User.objects.create_user("ada"), User.objects.create_user("bob")
        finish(make_pending(owner=bob), credits_used="1")
        finish(row := make_pending(owner=ada))
        ada.delete()
        bob.delete()
        row.refresh_from_db()
        assert lifecycle.correct_credits(row, Decimal("0.5"))
        assert sorted(sums()) == [(1, Decimal("0.5"), 0), (1, Decimal(1), 0)]

    @pytest.mark.parametrize("others", ["bob", None], ids=["of bob", "of the site itself"])
    def test_of_an_owner_who_is_no_more_takes_from_a_row_that_has_enough(
        self, others: str | None
    ) -> None:
        ada = User.objects.create_user("ada")
        finish(make_pending(owner=others and User.objects.create_user(others)), credits_used="1")
        finish(make_pending(owner=ada), credits_used="2")
        User.objects.all().delete()
        row = Generation.objects.get(credits_used=2)
        assert lifecycle.correct_credits(row, Decimal("0.5"))
        assert sorted(sums()) == [(1, Decimal("0.5"), 0), (1, Decimal(1), 0)]

    @pytest.mark.parametrize(
        ("before", "more"), [("0.5", "0.25"), (None, "0.75"), ("2", "0")], ids=str
    )
    def test_of_a_day_whose_sums_were_pruned_begins_them_anew(
        self, before: str | None, more: str
    ) -> None:
        row = self.make_done(before)
        UsageDay.objects.all().delete()
        UsageTotal.objects.all().delete()
        lifecycle.correct_credits(row, Decimal("0.75"))
        assert sums() == totals() == [(0, Decimal(more), 0)]

    def test_below_what_later_corrections_began_ends_at_zero(self) -> None:
        row, other = self.make_done("2"), self.make_done("0.5")
        UsageDay.objects.all().delete()
        lifecycle.correct_credits(other, Decimal("0.75"))
        lifecycle.correct_credits(row, Decimal("1"))
        assert sums() == [(0, Decimal(), 0)]

    def test_of_an_open_row_leaves_the_sums_alone(self) -> None:
        row = make_pending(credits_used=Decimal(1))
        assert lifecycle.correct_credits(row, Decimal(2))
        assert sums() == []
