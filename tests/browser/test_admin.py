"""The admin's pages in real Chromium, under a policy that allows the site's own files only."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User

from creatify_textgen import services
from creatify_textgen.models import Generation, Media
from tests import factories
from tests.architecture.source import ROOT
from tests.browser.staff import ADMIN, opened, take_picture

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

CLIP = ROOT / "example_project/demo/samples/clip.mp4"
"""A second of video."""
SCRIPT = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title='owned'\">"
ANSWER = """A good tagline is short, and says what the thing is for.

1. Videos, written.
2. Say it. See it.
"""


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: Browser, site: str) -> Iterator[Page]:
    """Return a page of a superuser, which must end without a complaint of the browser."""
    ada = User.objects.create_superuser("ada")
    with opened(browser, site, ada, color_scheme=request.param) as page:
        yield page
        take_picture(page, name=f"{request.node.name}")


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


OVERFLOW = """
[...document.querySelectorAll("#result_list td, #result_list th.action-checkbox, .results")]
    .filter(cell => cell.offsetParent && cell.scrollWidth > cell.clientWidth + 1)
    .map(cell => cell.className)
    .concat(document.body.scrollWidth > window.innerWidth ? ["body"] : [])
"""
"""Names what is wider than its place."""


def make_widest() -> Generation:
    """Save a generation whose every name is as long as it may be, or longer than it looks."""
    owner = User.objects.create_user("\u202e" + "averylongusername" * 4)
    now = datetime.now(UTC)
    return factories.make_generation(
        status="unconfirmed",
        error_code="insufficient_credits",
        partial=True,
        owner=owner,
        mode="stream",
        model_name="gemini-2.5-flash-preview-with-a-name-" + "x" * 200,
        excerpt="Write " + "x" * 190,
        credits_used=Decimal("1234.0000000501"),
        created_at=now,
        finished_at=now + timedelta(hours=26),
    )


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
            factories.save_usage(
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

    @pytest.mark.parametrize("language", ["en", "ar"])
    def test_fits_1280_pixels(self, page: Page, settings: Any, language: str) -> None:
        settings.LANGUAGE_CODE = language
        make_widest()
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(f"{ADMIN}generation/")
        assert page.evaluate(OVERFLOW) == []
        assert page.locator("td.field-prompt").evaluate("cell => cell.offsetWidth") >= 140

    @pytest.mark.parametrize("language", ["en", "ar"])
    def test_is_a_list_of_cards_on_a_phone(self, page: Page, settings: Any, language: str) -> None:
        settings.LANGUAGE_CODE = language
        make_widest()
        page.set_viewport_size({"width": 375, "height": 800})
        page.goto(f"{ADMIN}generation/")
        assert page.evaluate(OVERFLOW) == []
        expect(page.locator(".field-credits_used .textgen-cell-label")).to_be_visible()
        assert page.locator("td.field-prompt").evaluate("cell => cell.offsetWidth") >= 280

    def test_finds_any_owner(self, page: Page) -> None:
        make_widest()
        factories.make_generation()
        page.goto(f"{ADMIN}generation/")
        page.locator(".textgen-filter .select2").click()
        page.locator(".select2-search__field").fill("averylong")
        page.locator(".select2-results__option", has_text="averylong").click()
        page.locator("form.textgen-filter", has=page.locator("select")).get_by_role(
            "button", name="Show"
        ).click()
        expect(page.locator("#result_list tbody tr")).to_have_count(1)

    def test_narrows_to_two_days(self, page: Page) -> None:
        make_widest()
        factories.make_generation()
        page.goto(f"{ADMIN}generation/")
        page.get_by_label("From").fill("2020-11-20")
        page.get_by_label("To", exact=True).fill("2020-11-22")
        page.locator("form.textgen-filter", has=page.get_by_label("From")).get_by_role(
            "button", name="Show"
        ).click()
        expect(page.locator("#result_list tbody tr")).to_have_count(1)


class TestDetail:
    def test_stays_quick_with_lines_that_never_break(self, page: Page) -> None:
        generation = make_conversation()
        line = "x" * 200_000
        generation.content.response_text = line
        generation.content.failed_reason = line
        generation.content.save()
        started = time.monotonic()
        page.goto(f"{ADMIN}generation/{generation.pk}/change/")
        page.evaluate("document.body.offsetHeight")
        assert time.monotonic() - started < 10

    @pytest.mark.parametrize("width", [375, 1280])
    def test_keeps_names_out_of_the_way(self, page: Page, width: int) -> None:
        generation = make_widest()
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(f"{ADMIN}generation/{generation.pk}/change/")
        boxes = [page.locator(name).bounding_box() for name in ("#content > h2", ".object-tools")]
        title, tools = (box for box in boxes if box)
        below = tools["y"] >= title["y"] + title["height"]
        beside = tools["x"] >= title["x"] + title["width"]
        above = tools["y"] + tools["height"] <= title["y"]
        assert below or beside or above
        assert page.evaluate("document.body.scrollWidth <= window.innerWidth")

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
        days = datetime.now(UTC).day
        expect(page.get_by_role("region", name="By day").locator("progress")).to_have_count(days)

    def test_changes_its_period(self, page: Page) -> None:
        make_usage()
        page.goto(f"{ADMIN}generation/credits/")
        page.select_option("select[name=period]", "7")
        page.click("input[type=submit]")
        expect(page.get_by_role("region", name="By day").locator("progress")).to_have_count(7)


class TestMedia:
    def test_shows_the_image(self, page: Page) -> None:
        make_conversation()
        page.goto(f"{ADMIN}media/{Media.objects.get().pk}/change/")
        expect(page.locator("img.textgen-medium")).to_have_js_property("naturalWidth", 160)
