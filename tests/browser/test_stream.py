"""The assistant's page in real Chromium: an answer comes whole, whatever is cut meanwhile.

The site is two web nodes, a worker and a Redis; its policy allows the site's own files only.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from django.contrib.auth.models import User
from django.test import Client

from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Generation
from tests.cable import Cable
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

NETWORK_COMPLAINT = "net::ERR_"
ANSWER = "#turns article:last-child .answer"
GROWS = f"""seen => {{
  const answer = document.querySelector("{ANSWER}");
  return answer !== null && answer.textContent.length > seen;
}}"""
PATIENCE_MS = 30_000
SILENCE_MS = 45_000
"""After which the page takes a connection for dead; stream.js says the same."""
FRAMES = 12
LASTING = {"chunk_count": 60, "chunk_interval": 0.15}
"""A stream that a slow machine does not end before the test has done something to it."""
AWAY_MS = 700
"""Longer than the first wait before a reader comes back."""


@pytest.fixture
def complaints() -> list[str]:
    """Return what the browser has complained of so far."""
    return []


@pytest.fixture
def page(
    cable: Cable, transactional_db: None, browser: Browser, complaints: list[str]
) -> Iterator[Page]:
    """Return the page as a user who is signed in sees it; only the network may go wrong."""
    client = Client()
    client.force_login(User.objects.create_superuser("ada"))
    context = browser.new_context(base_url=cable.url)
    session = client.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": session, "url": cable.url}])
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.route("**/favicon.ico", lambda route: route.fulfill(status=204))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    response = page.goto("/")
    assert response is not None
    assert response.headers["content-security-policy"] == "default-src 'self'"
    yield page
    context.close()
    assert [text for text in complaints if NETWORK_COMPLAINT not in text] == []


def ask(page: Page) -> None:
    page.fill("[name=prompt]", "Tell me of the sea.")
    page.click("#send")
    expect(page.locator(ANSWER)).not_to_be_empty(timeout=PATIENCE_MS)


def shown(page: Page) -> str:
    return str(page.locator(ANSWER).evaluate("element => element.textContent"))


def assert_whole(page: Page, remote: Emulator) -> None:
    """The answer is on the page character by character, and was asked and paid for once."""
    expect(page.locator("#state")).to_contain_text("Done, ", timeout=PATIENCE_MS)
    row = Generation.objects.select_related("content").get()
    assert shown(page) == row.content.response_text == remote.generations[0].response_text
    assert remote.counters["creates"] == 1


def test_shows_words_as_they_arrive(page: Page, creatify_emulator: Emulator) -> None:
    ask(page)
    lengths = [len(shown(page))]
    for _ in range(5):
        page.wait_for_function(GROWS, arg=lengths[-1])
        lengths.append(len(shown(page)))
    expect(page.locator("#state")).to_have_text("Writing")
    assert_whole(page, creatify_emulator)
    assert lengths == sorted(set(lengths))
    assert lengths[-1] < len(shown(page))


def test_needs_no_second_request_where_nothing_is_cut(
    page: Page, creatify_emulator: Emulator, complaints: list[str]
) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    ask(page)
    assert_whole(page, creatify_emulator)
    # Chromium asks for the page's icon and its module when it likes.
    streams = [url for url in requests if url.endswith("/stream/")]
    assert (len(streams), complaints) == (1, []), requests


def test_goes_on_after_the_network_was_gone(
    page: Page, cable: Cable, creatify_emulator: Emulator, complaints: list[str]
) -> None:
    """Twice; being offline alone would leave Chromium the connections that it has."""
    creatify_emulator.switches.set(chunk_count=80, chunk_interval=0.2)
    ask(page)
    for _ in range(2):
        page.context.set_offline(True)
        cable.cut()
        expect(page.locator("#state")).to_have_text("Reconnecting", timeout=PATIENCE_MS)
        before = shown(page)
        page.wait_for_timeout(AWAY_MS)
        cable.mend()
        page.context.set_offline(False)
        page.wait_for_function(GROWS, arg=len(before))
        assert shown(page).startswith(before)
    assert_whole(page, creatify_emulator)
    assert complaints != []


def test_goes_on_at_another_node_after_each_of_many_cuts(
    page: Page, cable: Cable, deployment: Deployment, creatify_emulator: Emulator
) -> None:
    creatify_emulator.switches.set(chunk_count=80, chunk_interval=0.2)
    ask(page)
    for web in (deployment.webs[1], deployment.webs[0], deployment.webs[1]):
        before = shown(page)
        cable.cut()
        cable.mend(port=web.port)
        page.wait_for_function(GROWS, arg=len(before))
        assert shown(page).startswith(before)
    assert_whole(page, creatify_emulator)


@pytest.mark.slow
@pytest.mark.parametrize("every", [1, 2, 5])
def test_is_whole_where_it_is_cut_after_every_few_frames(
    page: Page, cable: Cable, deployment: Deployment, creatify_emulator: Emulator, every: int
) -> None:
    """And attached to the other node each time."""
    creatify_emulator.switches.set(chunk_count=FRAMES, chunk_interval=0.8, word_count=100)
    ask(page)
    text = creatify_emulator.generations[0].answer.text
    nodes = itertools.cycle(reversed(deployment.webs))
    for frames in range(every, FRAMES, every):
        length = len(text) * frames // FRAMES
        page.wait_for_function(GROWS, arg=length - 1)
        cable.cut()
        cable.mend(port=next(nodes).port)
    assert_whole(page, creatify_emulator)


@pytest.mark.slow
def test_goes_on_after_five_seconds_away(
    page: Page, cable: Cable, deployment: Deployment, creatify_emulator: Emulator
) -> None:
    """By the wall clock, and with its stream still under way at the other node."""
    creatify_emulator.switches.set(chunk_count=80, chunk_interval=0.2)
    ask(page)
    cable.cut()
    before = shown(page)
    page.wait_for_timeout(5_000)
    cable.mend(port=deployment.webs[1].port)
    page.wait_for_function(GROWS, arg=len(before))
    assert not Generation.objects.get().is_final
    assert_whole(page, creatify_emulator)


def test_goes_on_after_it_was_away_until_the_end(
    page: Page, cable: Cable, deployment: Deployment, creatify_emulator: Emulator
) -> None:
    """The frames have expired, too, when it comes back."""
    ask(page)
    cable.cut()
    wait_until(lambda: Generation.objects.get().is_final)
    row = Generation.objects.get()
    wait_until(lambda: deployment.redis.client.delete(f"creatify_textgen:stream:{row.pk}"))
    cable.mend()
    assert_whole(page, creatify_emulator)


def test_goes_on_after_its_web_node_was_killed(
    page: Page, deployment: Deployment, creatify_emulator: Emulator
) -> None:
    creatify_emulator.switches.set(**LASTING)
    ask(page)
    deployment.webs[0].kill()
    expect(page.locator("#state")).to_have_text("Reconnecting", timeout=PATIENCE_MS)
    deployment.make_whole()
    assert_whole(page, creatify_emulator)


def test_goes_on_after_redis_was_restarted(
    page: Page, deployment: Deployment, creatify_emulator: Emulator
) -> None:
    ask(page)
    deployment.redis.stop()
    deployment.redis.start()
    assert_whole(page, creatify_emulator)


def test_gets_the_rest_of_a_stream_that_broke_off_upstream(
    page: Page, creatify_emulator: Emulator
) -> None:
    """The end of what broke off is not the last word: the page comes back for the rest."""
    creatify_emulator.switches.set(stream_fault="cut_mid_event")
    ask(page)
    assert_whole(page, creatify_emulator)


def test_finds_its_stream_again_after_a_reload(page: Page, creatify_emulator: Emulator) -> None:
    creatify_emulator.switches.set(**LASTING)
    ask(page)
    before = shown(page)
    page.reload()
    page.wait_for_function(GROWS, arg=len(before) - 1)
    expect(page.locator("#state")).to_have_text("Writing")
    assert_whole(page, creatify_emulator)


STOP_AND_START = """async ({ url, body }) => {
  const { GenerationStream } = await import(document.body.dataset.streamModule);
  const stream = new GenerationStream(url, { body });
  let text = "";
  const shown = new Promise((resolve) => {
    stream.addEventListener("text", (event) => resolve((text += event.detail)));
  });
  const first = stream.start();
  await shown;
  stream.stop();
  const second = stream.start();
  const third = stream.start();
  return { stopped: [await first, await second], status: (await third).status, text };
}"""


def test_may_be_stopped_and_started_at_once(page: Page, creatify_emulator: Emulator) -> None:
    """What was stopped reads no further, so no word comes twice."""
    body = {"messages": [{"role": "user", "content": "Tell me of the sea."}]}
    url = "/textgen/generations/stream/"
    reported = page.evaluate(STOP_AND_START, {"url": url, "body": body})
    row = Generation.objects.select_related("content").get()
    assert reported == {
        "stopped": [None, None],
        "status": "done",
        "text": row.content.response_text,
    }
    assert creatify_emulator.counters["creates"] == 1


def test_takes_a_silent_connection_for_dead(
    page: Page, cable: Cable, creatify_emulator: Emulator
) -> None:
    """A line that nobody closed, as after a change of networks; only the page's clock is moved."""
    creatify_emulator.switches.set(**LASTING)
    page.clock.install()
    ask(page)
    attempts = count_streams(page)
    cable.fall_silent()
    page.clock.fast_forward(SILENCE_MS - 10_000)
    expect(page.locator("#state")).to_have_text("Writing")
    assert attempts == []
    with page.expect_request("**/stream/"):
        page.clock.fast_forward(11_000)
    # Chromium may have taken an idle connection, which is as dead.
    cable.cut()
    cable.mend()
    assert_whole(page, creatify_emulator)


def test_counts_silence_from_the_last_word(page: Page, creatify_emulator: Emulator) -> None:
    creatify_emulator.switches.set(**LASTING)
    page.clock.install()
    ask(page)
    attempts = count_streams(page)
    for _ in range(3):
        page.clock.fast_forward(SILENCE_MS - 10_000)
        shown_so_far = len(shown(page))
        page.wait_for_function(GROWS, arg=shown_so_far)
    assert_whole(page, creatify_emulator)
    assert attempts == []


def count_streams(page: Page) -> list[str]:
    """Return a list that grows with each stream that the page asks for from now on."""
    asked: list[str] = []
    page.on(
        "request", lambda request: request.url.endswith("/stream/") and asked.append(request.url)
    )
    return asked
