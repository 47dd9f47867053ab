"""A reader that is cut off comes back to the very next character, from frames or the row."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
import requests

from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Generation
from creatify_textgen.streams import hub
from tests.event_streams import ServerEvent, read_events, text_of

pytestmark = pytest.mark.django_db(transaction=True)
BODY = {"messages": "Tell me of the sea.", "model_name": "gemini-2.5-flash"}
HEADERS = {"Accept": "text/event-stream"}


class Browser:
    """Streams and comes back as a page would."""

    def __init__(self, site: str, cookies: dict[str, str]) -> None:
        self.session = requests.Session()
        # The session's cookie alone would need a CSRF token for a POST.
        self.session.cookies.update({**cookies, "csrftoken": "a" * 32})
        self.session.headers.update({**HEADERS, "X-CSRFToken": "a" * 32, "Referer": site})
        self.site = site

    def create(self) -> requests.Response:
        response = self.session.post(
            f"{self.site}/textgen/generations/stream/", json=BODY, stream=True, timeout=20
        )
        assert response.status_code == 200, response.text
        return response

    def attach(self, generation_id: str, last_id: str = "") -> requests.Response:
        headers = {"Last-Event-ID": last_id} if last_id else {}
        url = f"{self.site}/textgen/generations/{generation_id}/stream/"
        return self.session.get(url, headers=headers, stream=True, timeout=20)


@pytest.fixture
def browser(site: str, session_cookie: dict[str, str]) -> Iterator[Browser]:
    browser = Browser(site, session_cookie)
    yield browser
    browser.session.close()


def forget_frames() -> None:
    hub.get_hub().close()
    hub._hub.forget()


class TestWhole:
    def test_streams_to_the_end_and_is_told_to_stop(
        self, browser: Browser, remote: Emulator
    ) -> None:
        with browser.create() as response:
            events = list(read_events(response))
            generation_id = response.headers["X-Generation-Id"]
        row = Generation.objects.select_related("content").get(pk=generation_id)
        assert text_of(events) == row.content.response_text
        assert events[-2].data["creatify"]["id"] == row.remote_id
        assert (events[-1].name, events[-1].data["status"]) == ("end", "done")
        assert browser.attach(generation_id, events[-1].id).status_code == 204

    def test_forbids_proxies_to_buffer(self, browser: Browser, remote: Emulator) -> None:
        with browser.create() as response:
            assert response.headers["Content-Type"] == "text/event-stream"
            assert "no-transform" in response.headers["Cache-Control"]
            assert response.headers["X-Accel-Buffering"] == "no"


def resume(browser: Browser, *, cut_after: int, when: str) -> tuple[list[ServerEvent], str]:
    with browser.create() as response:
        generation_id = response.headers["X-Generation-Id"]
        events = list(islice(read_events(response), cut_after))
    if when != "at once":
        with browser.attach(generation_id) as other:
            list(read_events(other))
    if when == "after the frames expired":
        forget_frames()
    with browser.attach(generation_id, events[-1].id) as response:
        events += read_events(response, last_id=events[-1].id)
    return events, generation_id


def assert_seamless(events: list[ServerEvent], generation_id: str) -> None:
    row = Generation.objects.select_related("content").get(pk=generation_id)
    assert row.status == "done"
    assert text_of(events) == row.content.response_text
    assert events[-1].name == "end"
    assert sum("creatify" in event.data for event in events) >= 1


@pytest.mark.parametrize("cut_after", range(1, 8))
@pytest.mark.parametrize("when", ["at once", "when it has ended", "after the frames expired"])
def test_resumes_in_memory(browser: Browser, remote: Emulator, cut_after: int, when: str) -> None:
    remote.switches.set(chunk_count=7, stream_content="thoughts")
    assert_seamless(*resume(browser, cut_after=cut_after, when=when))


@pytest.mark.service
@pytest.mark.parametrize("cut_after", range(1, 8))
@pytest.mark.parametrize("when", ["at once", "when it has ended", "after the frames expired"])
def test_resumes_from_redis(
    browser: Browser, redis_remote: Emulator, cut_after: int, when: str, redis_frames: Any
) -> None:
    redis_remote.switches.set(chunk_count=7, stream_creatify="own")
    with browser.create() as response:
        generation_id = response.headers["X-Generation-Id"]
        events = list(islice(read_events(response), cut_after))
    if when != "at once":
        with browser.attach(generation_id) as other:
            list(read_events(other))
    if when == "after the frames expired":
        redis_frames.forget(generation_id)
    # Another process: nothing is left here of what was read.
    forget_frames()
    with browser.attach(generation_id, events[-1].id) as response:
        events += read_events(response, last_id=events[-1].id)
    assert_seamless(events, generation_id)
