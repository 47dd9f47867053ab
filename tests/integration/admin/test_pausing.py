"""The page that stops all sending, and the banner that says so on every page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from creatify_textgen import services
from creatify_textgen.models import Budget, Pause
from tests import factories
from tests.factories import save_usage

from .conftest import HISTORY, make_done, make_media, page_of

APP = "/admin/creatify_textgen/"
PAUSE = f"{HISTORY}pause/"


@pytest.fixture
def guard(staff_with: Callable[..., Client]) -> Client:
    return staff_with("pause_sending", "view_generation")


class TestPage:
    def test_pauses_with_who_and_why(self, guard: Client) -> None:
        response = guard.post(PAUSE, {"action": "pause", "account": "", "reason": "Too dear."})
        pause = Pause.objects.get()
        assert (response.status_code, response.headers["Location"]) == (302, PAUSE)
        assert (pause.account, pause.reason) == ("", "Too dear.")
        assert pause.paused_by == User.objects.get()

    def test_pauses_one_account(self, guard: Client) -> None:
        guard.post(PAUSE, {"action": "pause", "account": "default"})
        assert Pause.objects.get().account == "default"

    def test_refuses_an_account_that_is_not_there(self, guard: Client) -> None:
        response = guard.post(PAUSE, {"action": "pause", "account": "x"})
        assert (response.status_code, Pause.objects.count()) == (200, 0)

    def test_resumes_and_goes_back(self, guard: Client) -> None:
        services.pause_sending()
        response = guard.post(PAUSE, {"action": "resume", "account": "", "next": HISTORY})
        assert (response.headers["Location"], Pause.objects.count()) == (HISTORY, 0)

    @pytest.mark.parametrize("elsewhere", ["https://example.com/", "//example.com", "x\ty"])
    def test_goes_nowhere_else(self, guard: Client, elsewhere: str) -> None:
        response = guard.post(PAUSE, {"action": "resume", "next": elsewhere})
        assert "example.com" not in response.headers["Location"]

    def test_keeps_who_did_it_after_the_pause_has_ended(self, guard: Client) -> None:
        for action in ("pause", "resume"):
            guard.post(PAUSE, {"action": action})
        assert LogEntry.objects.filter(user=User.objects.get()).count() == 2

    def test_is_for_who_may_pause(self, staff_with: Callable[..., Client]) -> None:
        viewer = staff_with("view_generation")
        assert viewer.get(PAUSE).status_code == 200
        assert viewer.post(PAUSE, {"action": "pause"}).status_code == 403
        assert staff_with("view_content").get(PAUSE).status_code == 403
        assert not Pause.objects.exists()


class TestBanner:
    def test_is_on_every_page(self, admin_client: Client) -> None:
        generation, media = make_done(), make_media()
        budget = Budget.objects.create(name="Team", limit=1)
        usage = save_usage(day=factories.NOW.date(), account="a", model_name="m", status="done")
        services.pause_sending(reason="<b>Too dear.")
        pages = [APP, PAUSE, f"{HISTORY}credits/", page_of(generation, action="retry")]
        for row in (generation, media, budget, usage):
            place = f"{APP}{row._meta.model_name}/"
            pages += [place, f"{place}{row.pk}/change/", f"{place}{row.pk}/history/"]
        pages += [f"{APP}budget/add/", f"{APP}budget/{budget.pk}/delete/"]
        pages += [page_of(generation, action="delete")]
        without = [
            page for page in pages if "All sending is paused" not in self.read(admin_client, page)
        ]
        assert without == []

    @staticmethod
    def read(client: Client, page: str) -> str:
        response = client.get(page)
        assert response.status_code == 200, page
        assert "<b>Too dear" not in response.text
        return response.text

    def test_has_its_button_for_who_may_press_it(self, staff_with: Callable[..., Client]) -> None:
        services.pause_sending()
        pages = [
            staff_with("view_generation", *more).get(HISTORY).text
            for more in ([], ["pause_sending"])
        ]
        assert ["textgen-resume" in page for page in pages] == [False, True]

    def test_names_who_paused(self, guard: Client) -> None:
        services.pause_sending("default", by=User.objects.get())
        page = guard.get(HISTORY).text
        assert "Sending of the account “default” is paused." in page
        assert User.objects.get().username in page

    def test_ends_the_pause_of_an_account_that_was_removed(self, guard: Client) -> None:
        Pause.objects.create(account="former", code="paused", paused_at=timezone.now())
        body = {"action": "resume", "account": "former", "next": HISTORY}
        assert guard.post(f"{HISTORY}pause/", body).status_code == 302
        assert not Pause.objects.exists()

    def test_is_gone_where_sending_is_tried_again(self, guard: Client) -> None:
        Pause.objects.create(
            account="default",
            code="insufficient_credits",
            paused_at=timezone.now(),
            until=timezone.now() - timedelta(seconds=1),
        )
        assert "textgen-banner" not in guard.get(HISTORY).text
