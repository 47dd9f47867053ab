"""Pages of the admin, light in German and dark in Arabic, each with 375 and 1280 pixels.

German has the longest words. No page may be wider than its window, break the strict policy, write
to the console, or have a fault that axe-core finds in a part of it that is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import Group, User
from django.urls import reverse
from django.utils import timezone

from creatify_textgen import bulk, chat, services
from creatify_textgen.models import Budget, BulkJob, Generation
from creatify_textgen.testing import Answer, Stub
from tests import factories
from tests.bad_requests import PNG
from tests.browser.staff import ADMIN, opened, take_picture

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

WIDTHS, SCHEMES, LANGUAGES = (375, 1280), ("light", "dark"), ("de", "ar")
DIRECTIONS = {"de": "ltr", "ar": "rtl"}
OURS = "#content, .textgen-banner"
THEIRS = ".object-tools, #changelist-form .actions, #result_list, #changelist-search, .select2"
"""Parts that Django writes, and that its other pages have, too."""
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
COVERED = """
(() => {
    const tools = document.querySelector(".object-tools")?.getBoundingClientRect();
    return tools !== undefined && [...document.querySelectorAll("#content > h1, #content > h2")]
        .map(title => {
            const text = document.createRange();
            text.selectNodeContents(title);
            return text.getBoundingClientRect();
        })
        .some(title => title.left < tools.right && tools.left < title.right
            && title.top < tools.bottom && tools.top < title.bottom);
})()
"""
"""Whether a title is under the buttons."""
SCROLLS = """
[...document.querySelectorAll("#changelist .results, #result_list td")]
    .some(one => one.scrollWidth > one.clientWidth)
"""
"""Whether a list has columns out of sight, or a cell with words that reach into the next."""
UNFOLD = "for (const one of document.querySelectorAll('details')) one.open = true"
LONG = "A name of a budget that is rather long, with averylongwordthatneverbreaks" + "x" * 40
CALL = {"name": "send_mail", "args": {"to": "ann@example.com"}}


@chat.tool(needs_approval=True)
def send_mail(to: str) -> str:
    """Send a mail."""
    return f"sent to {to}"


def page_of(name: str, key: Any = None) -> str:
    return reverse(f"admin:creatify_textgen_{name}", args=[key] if key else [])


def make_index(stub: Stub) -> str:
    services.pause_sending(reason="The audit of November finds charges that nobody explains.")
    services.pause_sending("default", reason="x" * 300, by=User.objects.get(username="ada"))
    make_budgets(stub)
    for status in ("queued", "unconfirmed", "expired"):
        factories.make_generation(status=status)
    return ADMIN


def make_budgets(stub: Stub) -> str:
    """Save budgets that are fine, near their end, and over it."""
    group = Group.objects.create(name="Writers of taglines")
    for name, held in (("Team", 10), (LONG, 85), ("Used up", 120)):
        budget = Budget.objects.create(name=name, limit=100, period="month", group=group)
        budget.periods.create(starts_on=timezone.now().date().replace(day=1), settled=held)
    return page_of("budget_changelist")


def make_budget(stub: Stub) -> str:
    make_budgets(stub)
    return page_of("budget_change", Budget.objects.get(name=LONG).pk)


def make_credits(stub: Stub) -> str:
    make_budgets(stub)
    today = datetime.now(UTC).date()
    owner = User.objects.create_user("a-writer-with-quite-a-long-user-name@example.com")
    for back in range(25):
        for model in ("gemini-3-flash-preview", "gemini-2.5-pro"):
            factories.save_usage(
                day=today - timedelta(days=back),
                account="default",
                owner=owner if back % 2 else None,
                model_name=model,
                status="failed" if back % 5 == 4 else "done",
                generations=back + 2,
                credits_used=Decimal(back * 7 % 11) / 100 * len(model),
                credits_unknown=int(back % 6 == 0),
            )
    return page_of("generation_credits")


def make_settle(stub: Stub) -> str:
    row = factories.make_generation(
        status="expired", attempts=1, first_submitted_at=factories.NOW, sent_until=factories.NOW
    )
    return page_of("generation_settle", row.pk)


def make_answer(stub: Stub) -> Generation:
    return factories.make_generation(
        status="done",
        mode="stream",
        owner=User.objects.create_user("grace"),
        credits_used=Decimal("0.00051"),
        finished_at=factories.NOW,
        excerpt="Write a tagline.",
        content={
            "system_instruction": "You are a copywriter.",
            "config": {"temperature": 0.8, "top_k": 40},
            "tools": [{"function_declarations": [{"name": "get_weather"}]}],
            "response_text": "Say it. See it.\n\n" + "x" * 2000,
        },
    )


def make_list(stub: Stub) -> str:
    make_answer(stub)
    failed = {"status": "failed", "finished_at": factories.NOW, "excerpt": "x" * 200}
    factories.make_generation(**failed, error_code="insufficient_credits")
    return page_of("generation_changelist")


def make_edit(stub: Stub) -> str:
    return f"{page_of('generation_add')}?from={make_answer(stub).pk}"


def make_conversation(stub: Stub) -> str:
    conversation = chat.Conversation.start(
        owner=User.objects.create_user("grace"),
        title="Taglines for a video about apples",
        system_instruction="Be brief.",
        tools=[{"name": "get_weather"}],
    )
    for text in ("Hello", "Write a tagline. " * 30, "y" * 3000):
        conversation.say(text)
    return page_of("conversation_change", conversation.pk)


def make_run(stub: Stub) -> str:
    stub.answer([Answer(function_calls=[CALL]), "Sent."])
    run = chat.run("Mail Ann.", tools=[send_mail], owner=User.objects.create_user("grace"))
    return page_of("run_change", run.pk)


def make_call(stub: Stub) -> str:
    make_run(stub)
    return page_of("toolcall_changelist")


def make_wide(name: str) -> Callable[[Stub], str]:
    """Return a list whose rows have a long owner, model and title."""

    def make(stub: Stub) -> str:
        owner = User.objects.create_user("someone.with.a.long.name@research.example.org")
        model = "gemini-3-pro-preview-with-a-very-long-suffix"
        chat.Conversation.start(owner=owner, model_name=model, title="y" * 200)
        stub.answer([Answer(function_calls=[CALL]), "Sent."])
        chat.run("Mail Ann.", tools=[send_mail], owner=owner)
        services.store_media(PNG, owner=owner)
        today = datetime.now(UTC).date()
        sums = {"generations": 123456, "credits_used": Decimal("1234567.0123456789")}
        factories.save_usage(owner=owner, day=today, account="a" * 30, model_name=model, **sums)
        return page_of(f"{name}_changelist")

    return make


def make_jobs(stub: Stub) -> str:
    make_job()
    return page_of("bulkjob_changelist")


def make_job() -> BulkJob:
    factories.make_generation(status="failed", finished_at=factories.NOW)
    return bulk.start(
        Generation.objects.all(),
        verb="retry",
        by=User.objects.get(username="ada"),
        until=timezone.now(),
        query="status__exact=failed&owner__username=" + "x" * 60,
    )


def make_question(stub: Stub) -> str:
    make_answer(stub)
    return reverse("admin:creatify_textgen_generation_bulk", args=["retry"])


def make_nothing(name: str) -> Callable[[Stub], str]:
    return lambda stub: page_of(name)


PAGES: dict[str, Callable[[Stub], str]] = {
    "index": make_index,
    "playground": make_nothing("generation_add"),
    "edit": make_edit,
    "pause": make_nothing("generation_pause"),
    "person": make_nothing("generation_person"),
    "budgets": make_budgets,
    "budget": make_budget,
    "new-budget": make_nothing("budget_add"),
    "credits": make_credits,
    "settle": make_settle,
    "generation": lambda stub: page_of("generation_change", make_answer(stub).pk),
    "conversation": make_conversation,
    "run": make_run,
    "calls": make_call,
    "bulk-question": make_question,
    "bulk-jobs": make_jobs,
    "bulk-job": lambda stub: page_of("bulkjob_change", make_job().pk),
    "history": make_list,
    **{f"{name}s": make_wide(name) for name in ("conversation", "run", "toolcall", "usageday")},
    "media": make_wide("media"),
    "empty-history": make_nothing("generation_changelist"),
}


def faults_of(page: Page) -> list[str]:
    """Return what axe-core finds in our parts of the page."""
    context = {"include": OURS.split(", "), "exclude": THEIRS.split(", ")}
    found = axe.Axe().run(page, context=context).response["violations"]
    return [f"{one['id']}: {node['html'][:120]}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize("name", PAGES)
def test_looks_right(
    name: str, browser: Browser, site: str, settings: Any, creatify_stub: Stub
) -> None:
    ada = User.objects.create_superuser("ada")
    path = PAGES[name](creatify_stub)
    wrong: list[str] = []
    complaints: list[str] = []
    with opened(browser, site, ada, complaints=complaints) as page:
        for language, scheme in zip(LANGUAGES, SCHEMES, strict=True):
            settings.LANGUAGE_CODE = language
            page.emulate_media(color_scheme=scheme)
            page.goto(path)
            assert page.locator("html").get_attribute("dir") == DIRECTIONS[language]
            page.evaluate(UNFOLD)
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 800})
                if (wider := page.evaluate(WIDER)) > 0:
                    wrong.append(f"{language} {width}: {wider} pixels too wide")
                if width == max(WIDTHS) and page.evaluate(SCROLLS):
                    wrong.append(f"{language} {width}: words are out of sight or of their cells")
                if page.evaluate(COVERED):
                    wrong.append(f"{language} {width}: the title is under the buttons")
                take_picture(page, name=f"{name}-{language}-{scheme}-{width}")
            wrong += complaints
            wrong += [f"{language} {scheme}: {fault}" for fault in faults_of(page)]
            # axe-core itself breaks the policy, to measure colors.
            complaints.clear()
    assert wrong == []
