"""The assistant of the example project in real Chromium, as a user has it on a desk and a phone.

The site is processes; its policy allows the site's own files only. TEST_SCREENSHOTS names a folder
for pictures of what was seen.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client

from creatify_textgen import services
from creatify_textgen.chat import Conversation, Run
from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Budget, Generation
from tests.architecture.source import ROOT
from tests.deployment import Deployment
from tests.faults.processes import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.service,
    pytest.mark.django_db(transaction=True),
]

PATIENCE_MS = 30_000
SAMPLES = ROOT / "example_project/demo/samples"
HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
HEBREW = "שלום"
REFUSED = "Failed to load resource"
"""Chromium writes this line for each answer that is an error."""


@pytest.fixture
def visitor(transactional_db: None) -> User:
    return User.objects.create_superuser("ada", "ada@example.com")


@pytest.fixture
def page(
    request: pytest.FixtureRequest, deployment: Deployment, browser: Browser, visitor: User
) -> Iterator[Page]:
    """Return the page as a user who is signed in sees it; parameters are the context's."""
    client = Client()
    client.force_login(visitor)
    url = deployment.webs[0].url
    look = getattr(request, "param", {})
    context = browser.new_context(base_url=url, **look)
    session = client.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": session, "url": url}])
    context.set_default_timeout(PATIENCE_MS)
    complaints: list[str] = []
    context.on("console", lambda message: complaints.append(message.text))
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    page = context.new_page()
    page.goto("/")
    expect(page.locator("#send")).to_be_enabled()
    yield page
    if folder := os.environ.get("TEST_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{request.node.name}.png")
    context.close()
    assert [text for text in complaints if REFUSED not in text] == []


@pytest.fixture(autouse=True)
def _quick(deployment: Deployment, creatify_emulator: Emulator) -> None:
    creatify_emulator.switches.set(chunk_count=5, chunk_interval=0.01)


def ask(page: Page, text: str) -> None:
    page.fill("#prompt", text)
    page.press("#prompt", "Enter")


def await_state(page: Page, words: str) -> None:
    expect(page.locator("#state")).to_contain_text(words, timeout=PATIENCE_MS)


def converse(page: Page, text: str) -> None:
    """Ask, and wait for the answer."""
    ask(page, text)
    await_state(page, "Done, ")


def count(page: Page, selector: str) -> int:
    return page.locator(selector).count()


LOOKS = [
    {"color_scheme": scheme, "viewport": {"width": width, "height": 720}}
    for scheme in ("light", "dark")
    for width in (375, 1280)
]


@pytest.mark.parametrize(
    "page", LOOKS, indirect=True, ids=["light-phone", "light-desk", "dark-phone", "dark-desk"]
)
def test_shows_a_conversation(page: Page) -> None:
    """With a tool, an image, and text that must stay text."""
    converse(page, "What is the weather in Rome?")
    expect(page.locator(".call")).to_contain_text('city: Rome\n→ {"city":"Rome"')
    expect(page.locator(".answer")).to_contain_text("According to get_weather, city is Rome")
    expect(page.locator("#conversations a")).to_have_text("What is the weather in Rome?")
    page.set_input_files("#file", SAMPLES / "picture.png")
    expect(page.locator("#attached img")).to_have_js_property("naturalWidth", 64)
    converse(page, f"{HOSTILE} {HEBREW}")
    expect(page.locator("#attached")).to_be_hidden()
    expect(page.locator("#turns .mine img")).to_have_js_property("naturalWidth", 64)
    expect(page.locator(".answer").last).to_contain_text("I was shown image/png")
    expect(page.locator(".note").last).to_contain_text(" credits")
    assert (count(page, "#turns img"), count(page, "#turns script")) == (1, 0)
    assert page.title() == "Assistant"
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_writes_from_right_to_left(page: Page) -> None:
    converse(page, f"{HEBREW} {HEBREW}")
    direction = "element => getComputedStyle(element).direction"
    assert page.locator(".mine").evaluate(direction) == "rtl"
    assert page.locator(".answer").evaluate(direction) == "ltr"


@pytest.mark.parametrize(
    ("decision", "result"), [("Approve", "Sent to ada@"), ("Refuse", "A person refused this call")]
)
def test_asks_before_it_sends_an_email(page: Page, decision: str, result: str) -> None:
    """Also after a reload, and in another tab, which both continue."""
    ask(page, 'Send an e-mail to "ada@example.com"')
    await_state(page, "asks for your approval")
    page.reload()
    other = page.context.new_page()
    other.goto(page.url)
    await_state(other, "asks for your approval")
    other.get_by_role("button", name=decision).click()
    for tab in (page, other):
        await_state(tab, "Done, ")
        expect(tab.locator(".call")).to_contain_text(result)
    assert Run.objects.get().calls.count() == 1


def test_stops_and_goes_on(page: Page, creatify_emulator: Emulator) -> None:
    creatify_emulator.switches.set(chunk_count=60, chunk_interval=0.1, times=1)
    ask(page, "Tell me of the sea.")
    await_state(page, "Writing")
    page.keyboard.press("Escape")
    await_state(page, "Stopped")
    stopped = page.locator(".answer").text_content() or ""
    converse(page, "And of the land?")
    expect(page.locator(".answer").first).to_have_text(stopped)
    whole = creatify_emulator.generations[0].response_text
    assert whole.startswith(stopped)
    assert len(stopped) < len(whole)
    assert creatify_emulator.counters["creates"] == 2


def test_sends_once(page: Page, creatify_emulator: Emulator) -> None:
    page.fill("#prompt", "Hello")
    page.press("#prompt", "Shift+Enter")
    expect(page.locator("#prompt")).to_have_value("Hello\n")
    page.dblclick("#send")
    await_state(page, "Done, ")
    assert creatify_emulator.counters["creates"] == 1
    assert Conversation.objects.count() == 1
    assert Run.objects.get().state == "done"


def test_renames_forks_goes_back_and_deletes(page: Page) -> None:
    converse(page, "Hello")
    page.fill("#title", "Greetings")
    page.press("#title", "Tab")
    expect(page.locator("#conversations a")).to_have_text("Greetings")
    first = page.url
    page.get_by_role("button", name="Fork from here").click()
    expect(page.locator("#conversations a")).to_have_count(2)
    assert page.url != first
    converse(page, "Hello again")
    page.go_back()
    expect(page.locator(".mine")).to_have_count(1)
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("#delete")
    expect(page.locator("#conversations a")).to_have_count(1)
    assert Conversation.objects.get().turns.count() == 2


def refuse_credits(remote: Emulator) -> None:
    Budget.objects.create(name="None", unit="generations", limit=0, is_hard=True)


def pause(remote: Emulator) -> None:
    services.pause_sending(reason="Lunch")


def lack_credits(remote: Emulator) -> None:
    remote.switches.set(error_at_create="402")


def be_unreachable(remote: Emulator) -> None:
    remote.switches.set(error_at_create="503", retry_after="none")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (refuse_credits, "The budget is used up."),
        (pause, "Sending is paused on this site"),
        (lack_credits, "There are no credits left."),
        (be_unreachable, "The model can't be reached."),
    ],
)
def test_says_what_went_wrong(
    page: Page, creatify_emulator: Emulator, spoil: Any, words: str
) -> None:
    spoil(creatify_emulator)
    ask(page, "Hello")
    await_state(page, words)
    expect(page.locator("#send")).to_be_enabled()


def test_waits_for_an_answer_that_is_late(page: Page, creatify_emulator: Emulator) -> None:
    creatify_emulator.switches.set(reset_after_accept=True, times=1)
    ask(page, "Hello")
    await_state(page, "may still come")
    assert Generation.objects.get().status == "unconfirmed"
    assert creatify_emulator.counters["creates"] == 1


def test_keeps_the_message_of_a_user_who_was_logged_out(page: Page) -> None:
    converse(page, "Hello")
    page.context.clear_cookies(name="sessionid")
    ask(page, "Are you there?")
    await_state(page, "You are logged out.")
    expect(page.locator("#prompt")).to_have_value("Are you there?")


def test_goes_on_after_a_new_login(page: Page) -> None:
    ask(page, 'Send an e-mail to "ada@example.com"')
    await_state(page, "asks for your approval")
    [session] = [each for each in page.context.cookies() if each["name"] == "sessionid"]
    page.context.clear_cookies(name="sessionid")
    await_state(page, "You are logged out.")
    page.context.add_cookies([session])
    page.get_by_role("button", name="Refuse").click()
    await_state(page, "Done, ")


def test_takes_no_other_files(page: Page, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("A note")
    page.set_input_files("#file", tmp_path / "note.txt")
    await_state(page, "This kind of file can't be attached.")
    expect(page.locator("#attached")).to_be_hidden()


def test_shows_what_another_tab_said(page: Page) -> None:
    converse(page, "Hello")
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator(".answer")).to_have_count(1)
    ask(page, 'Send an e-mail to "ada@example.com"')
    await_state(page, "asks for your approval")
    ask(other, "Meanwhile")
    expect(other.get_by_role("button", name="Refuse")).to_be_visible()
    other.get_by_role("button", name="Refuse").click()
    expect(other.locator(".mine").last).to_have_text("Meanwhile")
    await_state(other, "Done, ")
    wait_until(lambda: Generation.objects.filter(status="done").count() == 4)


@pytest.mark.parametrize("name", ["..", "../media", "?page_size=1", "x"])
def test_opens_only_what_is_an_id(page: Page, name: str) -> None:
    """Any other hash in a link shows the empty page, and asks the site for nothing more."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with page.expect_response("**/credits/"):
        page.evaluate("name => (location.hash = name)", name)
    page.wait_for_load_state("networkidle")
    paths = {urlsplit(url).path for url in asked if "/static/" not in url}
    assert paths == {"/textgen/conversations/", "/textgen/credits/"}
    expect(page.locator("#state")).to_have_text("")
    expect(page.locator("#delete")).to_be_hidden()
