"""Nine tasks of staff, each in at most so many clicks; docs/how-to/admin.md walks through them.

A click is a press on a link, a button, a box or a row, or a choice in a list; typing is none. Each
task begins on the app's index, but for the one on users. TEST_PICTURES names a folder for the
pictures of the documentation (`make pictures`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Generation, Pause
from tests import factories
from tests.browser.staff import ADMIN, opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SIZE = {"width": 1040, "height": 700}
FOLD_SIDEBAR = "localStorage.setItem('django.admin.navSidebarIsOpen', 'false')"
PROMPTS = ("Write a tagline for a video about apples.", "Sum up this article.", "Name a cat.")


class Staff:
    """A member of staff who counts clicks."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks = 0

    def click(self, target: Locator) -> None:
        self.clicks += 1
        target.click()

    def follow(self, name: str) -> None:
        # Until the page has its scripts, too: without them its forms work in another way.
        with self.page.expect_navigation():
            self.click(self.link(name))

    def link(self, name: str) -> Locator:
        return self.page.locator("#content").get_by_role("link", name=name, exact=True)

    def press(self, name: str) -> None:
        self.click(self.page.locator("#content").get_by_role("button", name=name))

    def filter(self, name: str) -> None:
        self.click(self.page.locator("#changelist-filter").get_by_role("link", name=name))

    def choose(self, target: Locator, value: str) -> None:
        self.clicks += 1
        target.select_option(value)

    def picture(self, name: str, *, height: int = SIZE["height"]) -> None:
        """Take a picture of the window from its top."""
        folder = os.environ.get("TEST_PICTURES")
        if folder:
            self.page.mouse.move(0, 0)
            clip = {"x": 0, "y": 0, "width": SIZE["width"], "height": height}
            self.page.screenshot(path=Path(folder) / f"admin-{name}.png", clip=clip)


@pytest.fixture
def staff(browser: Browser, site: str) -> Iterator[Staff]:
    """Return a superuser on the app's index of a site that was used."""
    make_history()
    ada = User.objects.create_superuser("ada")
    with opened(browser, site, ada, viewport=SIZE) as page:
        page.add_init_script(FOLD_SIDEBAR)
        page.goto(ADMIN)
        yield Staff(page)


def make_history() -> None:
    """Save five failed generations of yesterday, and some that are done, of two users."""
    now = datetime.now(UTC)
    yesterday = now.replace(hour=12) - timedelta(days=1)
    grace, alan = (User.objects.create_user(name, is_staff=True) for name in ("grace", "alan"))
    for number in range(8):
        is_failed = number < 5
        created_at = yesterday - timedelta(minutes=number) if is_failed else now
        factories.make_generation(
            status="failed" if is_failed else "done",
            error_code=("blocked", "rate_limited")[number % 2] if is_failed else "",
            owner=alan if number == 4 or not is_failed else grace,
            excerpt=PROMPTS[number % 3],
            credits_used=Decimal(0) if is_failed else Decimal("0.00051"),
            model_name="gemini-3-flash-preview",
            created_at=created_at,
            finished_at=created_at + timedelta(seconds=3 + number),
        )
    for back in range(20):
        for model, owner in (("gemini-3-flash-preview", grace), ("gemini-2.5-pro", alan)):
            factories.save_usage(
                day=now.date() - timedelta(days=back),
                account="default",
                owner=owner,
                model_name=model,
                status="done",
                generations=40 + back,
                credits_used=Decimal(back * 7 % 11 + 3) / 100 * len(model),
            )


class TestTasks:
    def test_yesterdays_failures_of_one_user_and_why(self, staff: Staff) -> None:
        staff.follow("Generations")
        staff.page.locator("#searchbar").fill("grace")
        staff.page.keyboard.press("Enter")
        staff.filter("Yesterday")
        staff.filter("failed")
        rows = staff.page.locator("#result_list tbody tr")
        expect(rows).to_have_count(4)
        expect(rows.first.locator(".field-status_and_reason")).to_contain_text("blocked")
        staff.picture("failures", height=480)
        assert staff.clicks <= 3

    def test_this_month_by_model_and_user_with_the_projection(self, staff: Staff) -> None:
        staff.follow("Credits: what is left, and what this month costs")
        expect(staff.page.locator(".textgen-figures")).to_contain_text("This month, projected")
        expect(staff.page.get_by_role("region", name="By model")).to_be_visible()
        expect(staff.page.get_by_role("region", name="By owner")).to_contain_text("grace")
        staff.picture("credits")
        assert staff.clicks <= 1

    def test_is_something_stuck(self, staff: Staff) -> None:
        factories.make_generation(status="unconfirmed")
        staff.page.goto("/admin/")
        staff.click(staff.page.locator("#content").get_by_role("link", name="Text generation"))
        health = staff.page.get_by_role("region", name="Is something stuck?")
        expect(health).to_contain_text("No sweep runs.")
        health.scroll_into_view_if_needed()
        staff.picture("health")
        assert staff.clicks <= 1

    def test_ask_five_failed_ones_again(self, staff: Staff) -> None:
        staff.follow("Generations")
        staff.filter("failed")
        expect(staff.page.locator("#result_list tbody tr")).to_have_count(5)
        staff.click(staff.page.locator("#action-toggle"))
        staff.choose(staff.page.locator("select[name=action]"), "retry_selected")
        staff.press("Go")
        staff.picture("retry", height=560)
        staff.press("Spend credits on 5 generations")
        expect(staff.page.locator(".messagelist .success")).to_have_count(5)
        assert Generation.objects.exclude(retry_of=None).count() == 5
        assert staff.clicks <= 6

    def test_export_the_month(self, staff: Staff) -> None:
        staff.follow("Credits: what is left, and what this month costs")
        with staff.page.expect_download() as download:
            staff.click(staff.link("Export the generations (CSV)"))
        lines = Path(download.value.path()).read_text().splitlines()
        begin = datetime.now(UTC).strftime("%Y-%m-01T00:00Z")
        this_month = Generation.objects.filter(created_at__gte=begin)
        assert len(lines) == 1 + this_month.count()
        assert staff.clicks <= 2

    def test_stop_all_spending(self, staff: Staff) -> None:
        staff.follow("Pause: stop all spending")
        staff.page.get_by_label("Reason").fill("The budget of November is used up.")
        staff.press("Pause sending")
        expect(staff.page.get_by_role("alert")).to_contain_text("All sending is paused.")
        staff.picture("pause", height=480)
        assert Pause.objects.exists()
        assert staff.clicks <= 2

    def test_let_a_colleague_see_costs_and_no_contents(self, staff: Staff) -> None:
        call_command("textgen_groups", verbosity=0)
        staff.page.goto("/admin/auth/user/")
        staff.follow("grace")
        group = staff.page.locator("#id_groups_from option", has_text="finance")
        staff.clicks += 1
        group.dblclick()
        group.page.locator("#id_groups_to option", has_text="finance").scroll_into_view_if_needed()
        staff.picture("groups")
        staff.click(staff.page.locator("[name=_save]"))
        expect(staff.page.locator(".messagelist .success")).to_be_visible()
        colleague = Client()
        colleague.force_login(User.objects.get(username="grace"))
        assert colleague.get(f"{ADMIN}generation/credits/").status_code == 200
        page = colleague.get(f"{ADMIN}generation/").content.decode()
        assert "0.00051" in page
        assert "tagline" not in page
        assert staff.clicks <= 3

    def test_erase_a_person(self, staff: Staff) -> None:
        staff.follow("Persons: export or erase everything of a user")
        staff.page.get_by_label("User name").fill("grace")
        staff.press("Erase…")
        staff.picture("erase", height=290)
        staff.press("Yes, erase it")
        expect(staff.page.locator(".messagelist .success")).to_contain_text("4 generations")
        grace = User.objects.get(username="grace")
        assert not Generation.objects.filter(owner=grace, content_removed_at=None).exists()
        assert staff.clicks <= 3

    def test_try_a_prompt(self, staff: Staff, settings: Any, creatify_emulator: Emulator) -> None:
        models = ["gemini-3-flash-preview", "gemini-2.5-pro"]
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "MODELS": models}
        staff.follow("Playground: try a prompt")
        staff.page.get_by_label("Prompt").fill(PROMPTS[0])
        if os.environ.get("TEST_PICTURES"):
            staff.page.get_by_label("Compare with").select_option(models[1])
        staff.press("Send")
        answer = staff.page.locator(".textgen-columns section").first.get_by_role("status")
        expect(answer).to_contain_text("cost: 0.0")
        staff.page.evaluate("scrollTo(0, document.body.scrollHeight)")
        staff.picture("playground")
        assert staff.clicks <= 2
