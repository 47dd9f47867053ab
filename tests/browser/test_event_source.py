"""A browser's own EventSource in real Chromium: it receives all, reconnects by itself, and stops.

With the session's cookie, and with a ticket if no cookie can be sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import pytest
from django.contrib.auth.models import User
from django.test import Client

from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Generation
from tests.cable import Cable

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Response

pytest.importorskip("playwright.sync_api")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.service,
    pytest.mark.django_db(transaction=True),
]

PATIENCE_MS = 30_000
# Chromium comes back after three seconds, and is to find the stream under way.
LONG = {"chunk_count": 80, "chunk_interval": 0.1}
SHORT = {"chunk_count": 8, "chunk_interval": 0.05}

POST = """async ([path, body]) => {
  const token = document.cookie.split("csrftoken=")[1].split(";")[0];
  const headers = { "Content-Type": "application/json", "X-CSRFToken": token };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  if (response.status === 201) return await response.json();
  await response.body.cancel();
  return response.headers.get("X-Generation-Id");
}"""
LISTEN = """url => {
  const received = (window.received = { text: "", lastId: "", ends: [] });
  const source = (window.source = new EventSource(url));
  source.onmessage = (event) => {
    received.lastId = event.lastEventId;
    for (const part of JSON.parse(event.data).candidates?.[0]?.content?.parts ?? []) {
      received.text += part.text ?? "";
    }
  };
  source.addEventListener("end", (event) => received.ends.push(JSON.parse(event.data).status));
}"""


class Visit(NamedTuple):
    """What an EventSource asked, and what it was answered."""

    status: int
    last_event_id: str | None


class Listener:
    """A page with an EventSource."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._answers: list[Response] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("response", self._note)
        page.goto("/")

    def listen(self, url: str) -> None:
        self.page.evaluate(LISTEN, url)

    def waits_for(self, condition: str) -> None:
        """Wait until this is true; it may use `received` and `source`."""
        self.page.wait_for_function(f"() => {condition}")

    @property
    def text(self) -> str:
        return str(self.page.evaluate("received.text"))

    @property
    def visits(self) -> list[Visit]:
        return [
            Visit(answer.status, answer.request.all_headers().get("last-event-id"))
            for answer in self._answers
        ]

    def _note(self, answer: Response) -> None:
        if answer.request.resource_type == "eventsource":
            self._answers.append(answer)


@pytest.fixture
def member(cable: Cable, transactional_db: None, browser: Browser) -> Iterator[Listener]:
    """Return a page of somebody who is signed in."""
    client = Client()
    client.force_login(User.objects.create_superuser("ada"))
    context = browser.new_context(base_url=cable.url)
    session = client.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": session, "url": cable.url}])
    yield Listener(context.new_page())
    context.close()


@pytest.fixture
def stranger(cable: Cable, transactional_db: None, browser: Browser) -> Iterator[Listener]:
    """Return a page of a browser that has no cookie of the site."""
    context = browser.new_context(base_url=cable.url)
    listener = Listener(context.new_page())
    context.clear_cookies()
    yield listener
    assert not any(cookie["name"] == "sessionid" for cookie in context.cookies())
    context.close()


def begin(member: Listener) -> str:
    """Begin a stream and return its path."""
    body = {"messages": "Tell me of the sea."}
    generation_id = member.page.evaluate(POST, ["/textgen/generations/stream/", body])
    return f"/textgen/generations/{generation_id}/stream/"


def take_ticket(member: Listener, path: str) -> str:
    """Return the URL that needs no cookie."""
    answer = member.page.evaluate(POST, [path.replace("/stream/", "/ticket/"), {}])
    return str(answer["url"])


def assert_whole(listener: Listener, remote: Emulator) -> None:
    """The answer arrived character by character, ended once, and nobody reconnects."""
    listener.waits_for("source.readyState === EventSource.CLOSED")
    row = Generation.objects.select_related("content").get()
    assert listener.text == row.content.response_text == remote.generations[0].response_text != ""
    assert listener.page.evaluate("received.ends") == ["done"]
    assert listener.visits[-1] == Visit(204, "end")
    assert remote.counters["creates"] == 1


class TestCookie:
    def test_opens_the_stream_to_its_end(
        self, member: Listener, creatify_emulator: Emulator
    ) -> None:
        creatify_emulator.switches.set(**SHORT)
        member.listen(begin(member))
        assert_whole(member, creatify_emulator)
        assert [visit.status for visit in member.visits] == [200, 204]

    def test_is_needed_where_there_is_no_ticket(
        self, member: Listener, stranger: Listener, creatify_emulator: Emulator
    ) -> None:
        creatify_emulator.switches.set(**SHORT)
        stranger.listen(begin(member))
        stranger.waits_for("source.readyState === EventSource.CLOSED")
        assert stranger.text == ""
        assert [visit.status for visit in stranger.visits] in ([401], [403])


class TestTicket:
    def test_opens_the_stream_to_its_end_without_a_cookie(
        self, member: Listener, stranger: Listener, creatify_emulator: Emulator
    ) -> None:
        creatify_emulator.switches.set(**SHORT)
        stranger.listen(take_ticket(member, begin(member)))
        assert_whole(stranger, creatify_emulator)
        assert [visit.status for visit in stranger.visits] == [200, 204]


class TestCut:
    @pytest.mark.parametrize("way", ["cookie", "ticket"])
    def test_is_come_back_from_to_the_next_character(
        self,
        member: Listener,
        stranger: Listener,
        cable: Cable,
        creatify_emulator: Emulator,
        way: str,
    ) -> None:
        creatify_emulator.switches.set(**LONG)
        path = begin(member)
        listener = member if way == "cookie" else stranger
        listener.listen(path if way == "cookie" else take_ticket(member, path))
        listener.waits_for("received.text !== ''")
        cable.cut()
        listener.waits_for("source.readyState === EventSource.CONNECTING")
        before, last_id = listener.text, listener.page.evaluate("received.lastId")
        cable.mend()
        listener.waits_for(f"received.text.length > {len(before)}")
        assert not Generation.objects.get().is_final
        assert listener.text.startswith(before)
        assert_whole(listener, creatify_emulator)
        assert listener.visits == [Visit(200, None), Visit(200, last_id), Visit(204, "end")]
