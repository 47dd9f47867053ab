"""The admin's pages in real Chromium, under a policy that allows the site's own files only.

TEST_SCREENSHOTS names a folder for pictures of what was seen.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.test import Client

from creatify_textgen import services
from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Generation, Media, UsageDay
from tests import factories
from tests.architecture.source import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ADMIN = "/admin/creatify_textgen/"
CLIP = ROOT / "example_project/demo/samples/clip.mp4"
"""A second of video."""
SCRIPT = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title='owned'\">"
ANSWER = """A good tagline is short, and says what the thing is for.

1. Videos, written.
2. Say it. See it.
"""


class StrictPolicy:
    """Middleware: nothing but the site's own files, and no inline code or style."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", "default-src 'self'")
        return response


@pytest.fixture
def site(settings: Any, creatify_emulator: Emulator, request: pytest.FixtureRequest) -> str:
    """Return the address of a live site with the policy, and the emulator behind it."""
    policy = f"{StrictPolicy.__module__}.{StrictPolicy.__name__}"
    settings.MIDDLEWARE = [policy, *settings.MIDDLEWARE]
    account = {"API_ID": "id", "API_KEY": "key", "BASE_URL": creatify_emulator.url}
    settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": account}}
    return str(request.getfixturevalue("live_server").url)


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: Browser, site: str) -> Iterator[Page]:
    """Return a page of a superuser, which must end without a complaint of the browser."""
    client = Client()
    client.force_login(User.objects.create_superuser("ada"))
    context = browser.new_context(
        base_url=site, color_scheme=request.param, viewport={"width": 1360, "height": 900}
    )
    session = client.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": session, "url": site}])
    page, complaints = context.new_page(), list[str]()
    page.route("**/favicon.ico", lambda route: route.fulfill(status=204))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    take_picture(page, name=f"{request.node.name}")
    context.close()
    assert complaints == []


def take_picture(page: Page, *, name: str) -> None:
    folder = os.environ.get("TEST_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def picture(width: int = 160, height: int = 90) -> bytes:
    """Return a PNG with a gradient."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        tail = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + tail

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = b"".join(
        b"\0" + b"".join(bytes((x, 120, 2 * y)) for x in range(width)) for y in range(height)
    )
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, body) for kind, body in parts)


def make_conversation() -> Generation:
    """Save a generation with every kind of content, some of it hostile."""
    owner = User.objects.create_user("grace")
    image = services.store_media(picture(), owner=owner, mime_type="image/png")
    part = {"type": "image", "mime_type": "image/png", "media": str(image.pk)}
    call = {"name": "find_slogans", "args": {"topic": "video", "limit": 3}}
    now = datetime.now(UTC)
    generation = factories.make_generation(
        status="done",
        mode="stream",
        excerpt="What does this picture say?",
        owner=owner,
        credits_used=Decimal("0.00051"),
        created_at=now - timedelta(seconds=9),
        finished_at=now,
        finish_reason="STOP",
        model_version="gemini-2.5-flash-001",
        remote_id="a1b2c3d4-5678-90ab-cdef-1234567890ab",
        content={
            "system_instruction": "You are a copywriter.",
            "config": {"temperature": 0.8, "max_output_tokens": 256},
            "response_text": f"{ANSWER}\n{SCRIPT}\n\u202egnp.exe",
            "response_thoughts": "The picture is a gradient.",
            "response_function_calls": [call],
            "usage": {"prompt_token_count": 18, "total_token_count": 68},
            "citations": [
                {"title": "A page", "uri": "https://example.com/page"},
                {"title": "A trap", "uri": "javascript:alert(1)"},
            ],
        },
    )
    generation.content.messages = [
        {"role": "user", "content": [part, {"type": "text", "text": "What does this say?"}]},
        {"role": "model", "function_call": call},
        {"role": "user", "function_response": {"name": "find_slogans", "response": {"n": [1, 2]}}},
        {"role": "user", "content": f"Go on.\n{SCRIPT}\n\u05e9\u05dc\u05d5\u05dd"},
    ]
    generation.content.save()
    generation.media.add(image)
    for seconds, status, cause in ((8, "submitting", "submit"), (0.4, "done", "stream")):
        at = now - timedelta(seconds=seconds)
        generation.events.create(at=at, status=status, cause=cause, detail="")
    return generation


def make_history() -> None:
    for status in ("queued", "submitting", "unconfirmed", "pending", "running", "expired"):
        factories.make_generation(status=status, excerpt=f"A prompt that is {status}")
    for status in ("done", "failed", "cancelled"):
        factories.make_generation(
            status=status,
            excerpt=f"{SCRIPT} " * 3,
            error_code="blocked" if status == "failed" else "",
            partial=status == "failed",
            credits_used=Decimal("0.0005") if status == "done" else None,
            finished_at=factories.NOW,
        )


def make_usage() -> None:
    today = datetime.now(UTC).date()
    for back in range(25):
        for model in ("gemini-2.5-flash", "gemini-2.5-pro"):
            UsageDay.objects.create(
                key=f"{back}{model}",
                day=today - timedelta(days=back),
                account="default",
                model_name=model,
                status="failed" if back % 5 == 4 else "done",
                generations=back + 2,
                credits_used=Decimal(back * 7 % 11) / 100 * len(model),
                credits_unknown=int(back % 6 == 0),
            )


class TestHistory:
    def test_shows_every_status(self, page: Page) -> None:
        make_history()
        page.goto(f"{ADMIN}generation/")
        expect(page.locator(".textgen-status")).to_have_count(9)
        assert page.title() != "owned"

    def test_acts_on_what_is_selected(self, page: Page) -> None:
        make_history()
        page.goto(f"{ADMIN}generation/")
        page.check("#action-toggle")
        page.select_option("select[name=action]", "cancel_selected")
        page.click("button[name=index]")
        expect(page.locator(".messagelist .success")).to_have_count(2)
        expect(page.locator(".messagelist .error")).to_have_count(7)


class TestDetail:
    def test_shows_the_conversation(self, page: Page) -> None:
        page.goto(f"{ADMIN}generation/{make_conversation().pk}/change/")
        for summary in page.locator("summary").all():
            summary.click()
        expect(page.get_by_text("document.title = 'owned'")).to_have_count(2)
        assert page.title() != "owned"

    def test_shows_the_image(self, page: Page) -> None:
        page.goto(f"{ADMIN}generation/{make_conversation().pk}/change/")
        expect(page.locator("img.textgen-medium")).to_have_js_property("naturalWidth", 160)

    def test_plays_the_video(self, page: Page) -> None:
        video = services.store_media(CLIP, mime_type="video/mp4")
        part = {"type": "video", "mime_type": "video/mp4", "media": str(video.pk)}
        generation = factories.make_generation()
        generation.content.messages = [{"role": "user", "content": [part]}]
        generation.content.save()
        page.goto(f"{ADMIN}generation/{generation.pk}/change/")
        player = page.locator("video")
        expect(player).to_have_js_property("duration", 1)
        player.evaluate("player => { player.currentTime = 0.5 }")
        expect(player).to_have_js_property("seeking", value=False)
        expect(player).to_have_js_property("currentTime", 0.5)

    def test_fits_a_phone(self, page: Page) -> None:
        page.set_viewport_size({"width": 390, "height": 800})
        page.goto(f"{ADMIN}generation/{make_conversation().pk}/change/")
        widths = page.evaluate("[document.body.scrollWidth, window.innerWidth]")
        assert widths[0] <= widths[1]

    def test_cancels_by_its_button(self, page: Page) -> None:
        page.goto(f"{ADMIN}generation/{factories.make_generation().pk}/change/")
        page.get_by_role("button", name="Cancel the generation").click()
        expect(page.locator(".messagelist")).to_contain_text("was cancelled")


class TestRetry:
    def test_asks_before_it_spends(self, page: Page) -> None:
        first = make_conversation()
        page.goto(f"{ADMIN}generation/{first.pk}/change/")
        page.get_by_role("link", name="Retry").click()
        expect(page.locator("#content")).to_contain_text("spends credits")
        take_picture(page, name=f"confirmation-{first.pk}")
        page.get_by_role("button", name="Spend credits on 1 generation").click()
        expect(page.locator(".messagelist")).to_contain_text("was asked again")
        assert first.retries.count() == 1


class TestCredits:
    def test_shows_a_bar_a_day(self, page: Page) -> None:
        make_usage()
        page.goto(f"{ADMIN}")
        page.get_by_role("link", name="Credits:").click()
        expect(page.locator("section").first.locator("progress")).to_have_count(30)

    def test_changes_its_period(self, page: Page) -> None:
        make_usage()
        page.goto(f"{ADMIN}generation/credits/")
        page.select_option("select[name=period]", "7")
        page.click("input[type=submit]")
        expect(page.locator("section").first.locator("progress")).to_have_count(7)


class TestMedia:
    def test_shows_the_image(self, page: Page) -> None:
        make_conversation()
        page.goto(f"{ADMIN}media/{Media.objects.get().pk}/change/")
        expect(page.locator("img.textgen-medium")).to_have_js_property("naturalWidth", 160)
