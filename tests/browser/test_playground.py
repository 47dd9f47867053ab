"""The playground in real Chromium: answers of real streams, while they are written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User

from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Generation
from tests import factories
from tests.browser.staff import ADMIN, opened, take_picture

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

MODELS = ["gemini-2.5-flash", "gemini-2.5-pro"]
WEATHER = '[{"function_declarations": [{"name": "get_weather"}]}]'


@pytest.fixture
def page(browser: Browser, site: str, settings: Any) -> Iterator[Page]:
    settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "MODELS": MODELS}
    settings.CREATIFY_TEXTGEN["DEFAULT_MODEL"] = MODELS[0]
    with opened(browser, site, User.objects.create_superuser("ada")) as page:
        yield page


def send(page: Page) -> None:
    """Send the form by its script; before that has loaded, the form is sent without it."""
    page.wait_for_load_state()
    page.get_by_role("button", name="Send").click()


class TestPlayground:
    def test_tries_a_prompt_in_two_clicks(self, page: Page, creatify_emulator: Emulator) -> None:
        creatify_emulator.switches.set(chunk_count=20, chunk_interval=0.3)
        page.goto("/admin/")
        page.locator(".model-generation").get_by_role("link", name="Add").click()
        page.get_by_label("Prompt").fill("Write a tagline.")
        send(page)
        column = page.locator(".textgen-columns section")
        expect(column.locator(".textgen-text")).not_to_be_empty()
        expect(column.get_by_role("status")).to_have_text("Writing…")
        expect(column.get_by_role("status")).to_contain_text("cost: 0.0")
        expect(column.get_by_role("status")).to_contain_text("first text after")
        row = Generation.objects.select_related("content").get()
        assert column.locator(".textgen-text").inner_text() == row.content.response_text
        take_picture(page, name="playground")

    def test_shows_two_models_side_by_side(self, page: Page) -> None:
        page.goto(f"{ADMIN}generation/add/")
        page.get_by_label("Prompt").fill("Write a tagline.")
        page.get_by_label("Compare with").select_option(MODELS[1])
        expect(page.locator(".textgen-estimates li:visible")).to_have_count(2)
        send(page)
        expect(page.get_by_text("cost: 0.0")).to_have_count(2)
        left, right = (box.bounding_box() for box in page.locator(".textgen-columns section").all())
        assert left
        assert right
        assert left["y"] == right["y"]
        assert left["x"] + left["width"] <= right["x"]
        take_picture(page, name="playground-two")

    def test_shows_function_calls(self, page: Page) -> None:
        page.goto(f"{ADMIN}generation/add/")
        page.get_by_label("Prompt").fill("What is the weather?")
        page.locator("summary").click()
        page.locator("[name=tools]").fill(WEATHER)
        send(page)
        expect(page.locator(".textgen-columns .textgen-json")).to_contain_text("get_weather")

    def test_says_what_is_wrong_and_then_sends(self, page: Page) -> None:
        page.goto(f"{ADMIN}generation/add/")
        # Chromium reports each answer that is not 200.
        page.route("**/add/", lambda route: route.fulfill(response=route.fetch(), status=200))
        page.get_by_label("Prompt").fill("Hello")
        page.locator("summary").click()
        page.locator("[name=tools]").fill("{")
        page.locator("summary").click()
        send(page)
        expect(page.locator(".field-tools .errorlist")).to_be_visible()
        page.locator("[name=tools]").fill("")
        send(page)
        expect(page.get_by_text("cost: 0.0")).to_have_count(1)
        expect(page.locator(".errorlist")).to_have_count(0)

    def test_shows_hostile_text_as_text(self, page: Page) -> None:
        # Of the two runs of emoji, one has a code point of two units at each cut.
        emoji = "\U0001f600" * 300
        text = "<img src=x onerror=document.title='owned'>\u202egnp.exe " + "x" * 200_000
        text += f"{emoji}x{emoji}"
        outcome = {"line": text[:60], "text": text, "calls": text, "is_final": True}
        chunk = {"candidates": [{"content": {"parts": [{"text": text}]}}]}
        frames = f"id: 1-1\ndata: {json.dumps(chunk)}\n\nevent: end\ndata: {{}}\n\n"
        kind = "text/event-stream"
        page.route("**/stream/?*", lambda route: route.fulfill(body=frames, content_type=kind))
        page.route("**/outcome/", lambda route: route.fulfill(json=outcome))
        page.goto(f"{ADMIN}generation/add/")
        page.get_by_label("Prompt").fill("Hello")
        send(page)
        for name in ("[role=status]", ".textgen-text", ".textgen-json"):
            shown = page.locator(f".textgen-columns {name}")
            expect(shown).to_contain_text("<img src=x")
            expect(shown).to_contain_text("[U+202E]gnp.exe")
        # In the page, because half of an emoji would not survive the way to Python.
        is_whole = page.locator(".textgen-text").evaluate(
            "(shown) => [...shown.childNodes].every((it) => it.textContent.isWellFormed())"
        )
        assert is_whole
        assert page.title() != "owned"
        assert page.evaluate("document.body.scrollWidth <= window.innerWidth")

    def test_edits_and_tries_a_generation(self, page: Page) -> None:
        row = factories.make_generation(status="failed", finished_at=factories.NOW)
        page.goto(f"{ADMIN}generation/{row.pk}/change/")
        page.get_by_role("link", name="Edit and try").click()
        expect(page.get_by_label("Prompt")).to_have_value("Hello")
        send(page)
        expect(page.get_by_text("cost: 0.0")).to_have_count(1)

    def test_goes_on_where_the_stream_cannot(self, page: Page) -> None:
        page.route("**/stream/?ticket=*", lambda route: route.fulfill(status=204))
        page.goto(f"{ADMIN}generation/add/")
        page.get_by_label("Prompt").fill("Write a tagline.")
        send(page)
        expect(page.get_by_text("cost: 0.0")).to_have_count(1)
        row = Generation.objects.select_related("content").get()
        assert page.locator(".textgen-text").inner_text() == row.content.response_text
