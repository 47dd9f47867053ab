"""The page on which a person decides about a generation that may have been charged."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from creatify_textgen.models import Generation
from tests import factories

from .conftest import make_done, page_of

SETTLE = "Settle…"


@pytest.fixture
def undecided(db: None) -> Generation:
    return factories.make_generation(
        status="expired",
        error_code="may_have_been_charged",
        attempts=1,
        first_submitted_at=factories.NOW,
        sent_until=factories.NOW,
    )


class TestPage:
    def test_writes_the_decision_and_who_took_it(
        self, operator: Client, undecided: Generation
    ) -> None:
        form = {"decision": "charged", "credits_used": "0.25"}
        answer = operator.post(page_of(undecided, action="settle"), form, follow=True)
        assert answer.redirect_chain == [(page_of(undecided), 302)]
        undecided.refresh_from_db()
        assert (undecided.status, undecided.credits_used) == ("failed", Decimal("0.25"))
        entry = LogEntry.objects.get(object_id=str(undecided.pk))
        assert "charged" in entry.get_change_message()
        assert undecided.events.get().detail.endswith(f"by {entry.user.get_username()}")
        assert entry.user.get_username() in answer.text

    def test_says_what_is_wrong_beside_its_field(
        self, operator: Client, undecided: Generation
    ) -> None:
        form = {"decision": "charged", "credits_used": "much"}
        answer = operator.post(page_of(undecided, action="settle"), form)
        assert answer.status_code == 200
        assert list(answer.context["form"].errors) == ["credits_used"]
        undecided.refresh_from_db()
        assert undecided.status == "expired"

    def test_says_that_there_is_nothing_to_decide(self, operator: Client) -> None:
        row = make_done()
        answer = operator.post(page_of(row, action="settle"), {"decision": "never_accepted"})
        assert "a person decides only" in answer.text

    def test_asks_for_a_decision(self, operator: Client, undecided: Generation) -> None:
        answer = operator.get(page_of(undecided, action="settle"))
        assert answer.text.count('type="radio"') == 3
        assert list(operator.post(page_of(undecided, action="settle")).context["form"].errors) == []
        undecided.refresh_from_db()
        assert undecided.status == "expired"

    def test_is_for_those_who_may_operate(
        self, staff_with: Callable[..., Client], undecided: Generation
    ) -> None:
        reviewer = staff_with("view_generation", "view_content")
        form = {"decision": "never_accepted"}
        assert reviewer.post(page_of(undecided, action="settle"), form).status_code == 403
        assert SETTLE not in reviewer.get(page_of(undecided)).text
        undecided.refresh_from_db()
        assert undecided.status == "expired"


class TestButton:
    def test_is_shown_only_for_what_is_undecided(
        self, operator: Client, undecided: Generation
    ) -> None:
        assert SETTLE in operator.get(page_of(undecided)).text
        assert SETTLE not in operator.get(page_of(make_done())).text
