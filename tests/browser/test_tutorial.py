"""The page of the tutorial in real Chromium, as printed. The answers of its site are scripted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.architecture.source import ROOT
from tests.browser.printed import MODULE, ORIGIN, rendered
from tests.guides import Guide

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

GUIDE = Guide.read(ROOT / "docs" / "tutorial" / "assistant.md")
RESULT = {
    "role": "user",
    "function_response": {"name": "get_weather", "response": {"sky": "clear"}},
}


def file(name: str) -> str:
    return "".join(text for path, text in GUIDE.files if path.endswith(name))


def turn(*messages: Any, text: str = "", code: str = "") -> dict[str, Any]:
    return {"messages": messages, "response_text": text, "error_code": code}


def said(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


@pytest.fixture
def show(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Return a way to open the page of a user with one conversation of these turns."""
    context = browser.new_context(base_url=ORIGIN)

    def open_page(*turns: Any) -> Page:
        page = context.new_page()
        answers = {
            "/": (rendered(file("assistant.html")), "text/html"),
            "/assistant.css": (file("assistant.css"), "text/css"),
            "/assistant.js": (file("assistant.js"), "text/javascript"),
            "/static/creatify_textgen/stream.js": (MODULE.read_text(), "text/javascript"),
            "/textgen/conversations/": listed({"id": "c1", "title": "Rome"}),
            "/textgen/credits/": (json.dumps({"used": "0.1"}), "application/json"),
            "/textgen/conversations/c1/messages/": listed(*turns),
        }

        def answer(route: Route) -> None:
            body, kind = answers[route.request.url.removeprefix(ORIGIN)]
            route.fulfill(body=body, content_type=kind)

        page.route("**/*", answer)
        page.goto("/")
        page.click("text=Rome")
        return page

    yield open_page
    context.close()


def listed(*results: Any) -> tuple[str, str]:
    return json.dumps({"results": results}), "application/json"


class TestOpen:
    def test_shows_a_conversation_in_which_functions_were_called(
        self, show: Callable[..., Page]
    ) -> None:
        page = show(turn(said("Weather in Rome?")), turn(RESULT, text="Clear."))
        expect(page.locator("#log p")).to_have_text(["Weather in Rome?", "Clear."])

    def test_shows_what_is_left_of_it(self, show: Callable[..., Page]) -> None:
        """One whose content was erased, one that failed, and one with an image."""
        image = said([{"type": "image", "media": "m1"}, {"type": "text", "text": "Where?"}])
        page = show(turn(), turn(said("Hello"), code="blocked"), turn(image, text="In Rome."))
        expect(page.locator("#log p")).to_have_text(
            ["Hello", "blocked", "(image) Where?", "In Rome."]
        )
        expect(page.locator("#log .error")).to_have_text("blocked")
