"""How a balance moved, against what our rows cost meanwhile."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command

from creatify_textgen import gateway, services
from creatify_textgen.exceptions import RemoteUnavailableError
from creatify_textgen.models import BalanceReading
from creatify_textgen.recovery.audit import audit_balance
from tests.factories import NOW, make_generation, save_usage

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


class Remote:
    """A remote that lists nothing and has a balance, or reports none."""

    def __init__(self) -> None:
        self.balance: Decimal | None = Decimal(100)

    def remaining_credits(self) -> Decimal:
        if self.balance is None:
            raise RemoteUnavailableError("Nobody answers.")
        return self.balance


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Remote:
    remote = Remote()
    monkeypatch.setattr(gateway, "client_for", lambda account: remote)
    return remote


def use(credits_used: Any, **fields: Any) -> None:
    row = {"day": NOW.date(), "account": "default", "status": "done", "generations": 1}
    save_usage(credits_used=credits_used, **{**row, **fields})


def audit(*, save: bool = True, days: int = 0) -> Any:
    return audit_balance("default", now=NOW + days * DAY, save=save)


class TestAudit:
    def test_agrees_where_rows_explain_it(self, remote: Remote) -> None:
        use(3)
        assert audit() is None
        use(Decimal("2.5"))
        remote.balance = Decimal("97.5")
        found = audit(days=1)
        assert (found.moved, found.used, found.unexplained) == (Decimal("2.5"), Decimal("2.5"), 0)

    def test_shows_what_no_row_explains(self, remote: Remote) -> None:
        audit()
        use(2, account="other")
        remote.balance = Decimal(90)
        found = audit(days=1)
        assert (found.unexplained, found.may_even_out) == (10, False)
        assert str(found) == "the balance fell by 10, the rows cost 0; unexplained: 10"

    def test_shows_credits_that_were_bought(self, remote: Remote) -> None:
        audit()
        use(1)
        remote.balance = Decimal(599)
        assert audit(days=1).unexplained == -500

    @pytest.mark.parametrize("status", ["running", "expired", None])
    def test_says_that_unknown_costs_may_explain_it(
        self, remote: Remote, status: str | None
    ) -> None:
        audit()
        if status is None:
            use(0, credits_unknown=1)
        else:
            make_generation(status=status)
        remote.balance = Decimal(99)
        assert audit(days=1).may_even_out

    @pytest.mark.parametrize(("minutes", "may_even_out"), [(4, True), (6, False)])
    def test_says_that_what_had_just_ended_may_explain_it(
        self, remote: Remote, minutes: int, *, may_even_out: bool
    ) -> None:
        ended = NOW - timedelta(minutes=minutes)
        make_generation(status="done", created_at=ended, finished_at=ended)
        use(1)
        audit()
        remote.balance = Decimal(99)
        found = audit(days=1)
        assert (found.unexplained, found.may_even_out) == (1, may_even_out)

    def test_is_missing_where_the_remote_reports_no_balance(self, remote: Remote) -> None:
        audit()
        remote.balance = None
        assert audit(days=1) is None
        assert BalanceReading.objects.count() == 1

    def test_saves_nothing_unless_it_shall(self, remote: Remote) -> None:
        assert audit(save=False) is None
        assert not BalanceReading.objects.exists()

    def test_is_read_again_from_the_database_alone(self, remote: Remote) -> None:
        audit()
        assert services.latest_audit("default") is None
        remote.balance = Decimal(99)
        audit(days=1)
        remote.balance = None
        found = services.latest_audit("default")
        assert found is not None
        assert (found.moved, found.before.at) == (1, NOW)


class TestReconcile:
    def test_reports_it(self, remote: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        listing = type("Listing", (), {"failure": None, "unreadable": 0, "is_whole": True})
        monkeypatch.setattr(Remote, "list", lambda self, take: listing, raising=False)
        call_command("textgen_reconcile", fix=True)
        remote.balance = Decimal(90)
        assert not services.reconcile().is_clean
        capsys.readouterr()
        call_command("textgen_reconcile", fix=True, json=True)
        found = json.loads(capsys.readouterr().out)["balance"]
        assert (found["unexplained"], found["may_even_out"]) == ("10", False)
        call_command("textgen_reconcile", fix=True)
        assert "the balance fell by 0" in capsys.readouterr().out
