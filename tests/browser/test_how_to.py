"""The scripts of the README and the how-to pages in real Chromium, as printed. No site behind them:
the answers are scripted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.architecture.source import ROOT
from tests.browser.printed import MODULE, ORIGIN, rendered

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

FRAMES = """id: 1-3
data: {"candidates":[{"content":{"parts":[{"text":"Red"}]}}]}

event: end
id: end
data: {"status":"done","credits_used":"0.1"}

"""


def blocks(page: str, language: str) -> list[str]:
    path = ROOT / page if page.endswith(".md") else ROOT / "docs/how-to" / f"{page}.md"
    text = path.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def show(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Return a way to open a how-to's page, whose other requests get these answers in turn."""
    context = browser.new_context(base_url=ORIGIN)

    def open_page(name: str, *answers: dict[str, Any], html: str = "", then: str = "") -> Page:
        page, turns = context.new_page(), iter(answers)
        html = html or blocks(name, "html")[0]
        files = {
            "/": (rendered(html), "text/html"),
            "/static/creatify_textgen/stream.js": (MODULE.read_text(), "text/javascript"),
        }
        script = re.findall(r"static '(\w+\.js)'", html)[0]
        files[f"/{script}"] = (blocks(name, "js")[0] + then, "text/javascript")

        def answer(route: Route) -> None:
            path = route.request.url.removeprefix(ORIGIN)
            if path in files:
                route.fulfill(body=files[path][0], content_type=files[path][1])
            else:
                route.fulfill(**next(turns))

        page.route("**/*", answer)
        page.goto("/")
        return page

    yield open_page
    context.close()


class TestAsk:
    def test_shows_the_state_and_then_the_text(self, show: Callable[..., Page]) -> None:
        queued, done = (
            {"body": json.dumps({"status": status, "response_text": text})}
            for status, text in (("queued", ""), ("done", "A tagline."))
        )
        # Asked once a second: a slow machine sees the first state, too.
        page = show("ask", *[queued] * 4, done)
        expect(page.locator("#answer")).to_have_text("Waiting to be sent")
        expect(page.locator("#answer")).to_have_text("A tagline.")


class TestStreamIntoAPage:
    def test_shows_the_text(self, show: Callable[..., Page]) -> None:
        page = show("stream-into-a-page", {"body": FRAMES, "content_type": "text/event-stream"})
        page.fill("[name=prompt]", "Which roses?")
        page.click("text=Ask")
        expect(page.locator("#answer")).to_have_text("Red")
        expect(page.locator("#stop")).to_be_hidden()


class TestReadme:
    def test_shows_the_text_and_knows_the_cost(self, show: Callable[..., Page]) -> None:
        """On a page that has an element with the id `output`."""
        html = (
            "{% csrf_token %}<p id=output></p><script type=module src={% static 'a.js' %}></script>"
        )
        stream = {"body": FRAMES, "content_type": "text/event-stream"}
        page = show("README.md", stream, html=html, then="output.title = end.credits_used;")
        expect(page.locator("#output")).to_have_text("Red")
        expect(page.locator("#output")).to_have_attribute("title", "0.1")
