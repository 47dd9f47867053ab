"""`stream.js` by itself in real Chromium: what it makes of each kind of answer. No site behind it.

The answers are scripted; a body that ends without an end frame is a cut.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import creatify_textgen

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request, Route

pytest.importorskip("playwright.sync_api")

pytestmark = pytest.mark.browser

ORIGIN = "http://site.test"
PATH = "/textgen/generations/stream/"
ATTACHED = "/textgen/generations/g1/stream/"
MODULE = Path(creatify_textgen.__file__).parent / "static/creatify_textgen/stream.js"
HEARTBEAT = ": heartbeat\n\n"
NAMED = {"X-Generation-Id": "g1"}

READ = """async ({ url, options, starts }) => {
  const { GenerationStream } = await import("/stream.js");
  const stream = new GenerationStream(url, options);
  const reported = { text: "", events: [], ends: [] };
  stream.addEventListener("text", (event) => (reported.text += event.detail));
  for (const name of ["reconnect", "error", "end"]) {
    stream.addEventListener(name, (event) => reported.events.push([name, event.detail.code ?? ""]));
  }
  for (let i = 0; i < starts; i++) reported.ends.push((await stream.start())?.status ?? null);
  return { ...reported, lastEventId: stream.lastEventId };
}"""


def chunk(text: str, *, number: int, length: int) -> str:
    raw = json.dumps({"candidates": [{"content": {"parts": [{"text": text}]}}]})
    return f"id: {number}-{length}\ndata: {raw}\n\n"


def end(status: str = "done") -> str:
    return f'event: end\nid: end\ndata: {{"status":"{status}"}}\n\n'


ONE, TWO = chunk("one ", number=1, length=4), chunk("two", number=2, length=7)


class Script:
    """Answers the page's requests in turn, the last answer again and again, and notes them."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[Request] = []
        self._answers: list[dict[str, Any] | None] = []

    def answer(self, route: Route) -> None:
        path = route.request.url.removeprefix(ORIGIN)
        if path == "/":
            route.fulfill(body="<title>A page</title>", content_type="text/html")
        elif path == "/stream.js":
            route.fulfill(body=MODULE.read_text(), content_type="text/javascript")
        else:
            self.requests.append(route.request)
            answer = self._answers[min(len(self.requests), len(self._answers)) - 1]
            if answer is None:
                route.abort()
            else:
                route.fulfill(**answer)

    def read(
        self, *answers: dict[str, Any] | None, url: str = PATH, starts: int = 1, **options: Any
    ) -> dict[str, Any]:
        """Return what a stream reports that is answered in this way; None is no answer."""
        self._answers = list(answers)
        options = {"body": {"messages": "Hello"}} | options
        reported: dict[str, Any] = self.page.evaluate(
            READ, {"url": url, "options": options, "starts": starts}
        )
        return reported

    def asked(self) -> list[tuple[str, str, str | None]]:
        return [
            (request.method, request.url.removeprefix(ORIGIN), request.headers.get("last-event-id"))
            for request in self.requests
        ]


@pytest.fixture
def script(browser: Browser) -> Iterator[Script]:
    context = browser.new_context(base_url=ORIGIN)
    page = context.new_page()
    script = Script(page)
    page.route("**/*", script.answer)
    page.goto("/")
    yield script
    context.close()


def stream(*frames: str, named: bool = True) -> dict[str, Any]:
    headers = NAMED if named else {}
    return {"body": "".join(frames), "content_type": "text/event-stream", "headers": headers}


def refusal(status: int, code: str | None = None) -> dict[str, Any]:
    if code is None:
        return {"status": status, "body": "<h1>Bad gateway</h1>", "content_type": "text/html"}
    return {"status": status, "json": {"code": code, "error": "No."}}


class TestCuts:
    def test_go_on_at_the_next_frame(self, script: Script) -> None:
        reported = script.read(stream(ONE), stream(TWO, end()))
        assert (reported["text"], reported["ends"]) == ("one two", ["done"])
        assert script.asked() == [("POST", PATH, None), ("GET", ATTACHED, "1-4")]

    def test_come_again_by_key_where_the_generations_id_cannot_be_read(
        self, script: Script
    ) -> None:
        """As on another origin that does not expose the header."""
        script.read(stream(ONE, named=False), stream(TWO, end(), named=False))
        assert script.asked() == [("POST", PATH, None), ("POST", PATH, "1-4")]
        keys = {request.headers["idempotency-key"] for request in script.requests}
        assert len(keys) == 1

    def test_of_a_message_go_on_at_its_generation(self, script: Script) -> None:
        url = "/textgen/conversations/c1/messages/stream/"
        reported = script.read(stream(ONE), stream(TWO, end()), url=url)
        assert reported["text"] == "one two"
        assert script.asked() == [("POST", url, None), ("GET", ATTACHED, "1-4")]

    def test_keep_the_query_of_the_address(self, script: Script) -> None:
        script.read(stream(ONE), stream(TWO, end()), url=f"{PATH}?workspace=2")
        assert script.asked()[1] == ("GET", f"{ATTACHED}?workspace=2", "1-4")

    def test_are_no_failures_where_the_stream_was_alive(self, script: Script) -> None:
        """A model that thinks for long behind a proxy that cuts each minute."""
        beats = [stream(HEARTBEAT)] * 3
        reported = script.read(*beats, stream(ONE, end()), retries=1)
        assert reported["ends"] == ["done"]

    def test_are_failures_where_nothing_came(self, script: Script) -> None:
        reported = script.read(stream(), retries=1)
        assert reported["ends"] == [None]
        assert reported["events"][-1] == ["error", "connection_lost"]
        assert len(script.requests) == 2

    def test_are_waited_for_no_longer_than_until_a_stop(self, script: Script) -> None:
        script.read(refusal(503) | {"headers": {"Retry-After": "3600"}}, retries=0)
        first = script.page.evaluate(
            """async (url) => {
          const { GenerationStream } = await import("/stream.js");
          const stream = new GenerationStream(url);
          const waits = new Promise((resolve) => stream.addEventListener("reconnect", resolve));
          const ended = stream.start().then(() => "ended");
          await waits;
          stream.stop();
          const later = new Promise((resolve) => setTimeout(resolve, 0, "still waiting"));
          return Promise.race([ended, later]);
        }""",
            ATTACHED,
        )
        assert first == "ended"

    def test_count_anew_with_each_start(self, script: Script) -> None:
        script.read(None, retries=1, starts=2)
        assert len(script.requests) == 4


class TestRefusals:
    @pytest.mark.parametrize("status", [502, 503, 504])
    def test_of_a_proxy_are_passing_for_a_create(self, script: Script, status: int) -> None:
        reported = script.read(refusal(status), stream(ONE, end()))
        assert reported["ends"] == ["done"]
        assert len({request.headers["idempotency-key"] for request in script.requests}) == 1

    @pytest.mark.parametrize("answer", [refusal(503, "not_taken_up"), refusal(404)], ids=str)
    def test_of_the_site_are_final_for_a_create(
        self, script: Script, answer: dict[str, Any]
    ) -> None:
        reported = script.read(answer)
        assert (reported["ends"], len(script.requests)) == ([None], 1)

    def test_of_the_site_are_passing_for_a_reader_who_comes_back(self, script: Script) -> None:
        reported = script.read(stream(ONE), refusal(503, "too_many_readers"), stream(TWO, end()))
        assert reported["text"] == "one two"

    @pytest.mark.parametrize("before", [[], [stream(ONE)]], ids=["create", "attach"])
    def test_are_final_if_they_are_a_page(
        self, script: Script, before: list[dict[str, Any]]
    ) -> None:
        """As the login page to which a site redirects a session that has ended."""
        page = {"body": "<h1>Log in</h1>", "content_type": "text/html; charset=utf-8"}
        reported = script.read(*before, page)
        assert reported["events"][-1] == ["error", "not_a_stream"]
        assert (reported["ends"], len(script.requests)) == ([None], len(before) + 1)

    def test_are_given_up_where_their_body_never_ends(self, script: Script) -> None:
        page = script.page
        page.clock.install()
        page.evaluate("""() => {
          window.fetch = async (url, { signal }) => {
            const body = new ReadableStream({
              start: (it) => signal.addEventListener("abort", () => it.error(signal.reason)),
            });
            window.asked = true;
            return new Response(body, { status: 503 });
          };
        }""")
        arguments = {"url": PATH, "options": {"retries": 0}, "starts": 1}
        page.evaluate(
            f"given => {{ ({READ})(given).then(it => (window.reported = it)) }}", arguments
        )
        page.wait_for_function("() => window.asked")
        page.clock.run_for(50_000)
        page.wait_for_function("() => window.reported")
        assert page.evaluate("reported.events") == [["error", "http_503"]]


class TestFrames:
    @pytest.mark.parametrize("odd", ["upstream exploded", "null", "[]", '{"candidates":[{}]}'])
    def test_that_are_no_chunks_are_passed_over(self, script: Script, odd: str) -> None:
        reported = script.read(stream(ONE, f"id: 2-4\ndata: {odd}\n\n", TWO, end()))
        assert (reported["text"], reported["events"]) == ("one two", [["end", ""]])
        assert len(script.requests) == 1

    def test_are_cut_apart_in_linear_time(self, script: Script) -> None:
        """A long one that comes in many pieces is not searched again with each."""
        searched = script.page.evaluate("""async () => {
          const frame = `id: 1-1\\ndata: {"x":"${"x".repeat(1 << 20)}"}\\n\\n`;
          const bytes = new TextEncoder().encode(frame + "event: end\\nid: end\\ndata: {}\\n\\n");
          window.fetch = async () => new Response(new ReadableStream({
            start(it) {
              for (let i = 0; i < bytes.length; i += 4096) it.enqueue(bytes.slice(i, i + 4096));
              it.close();
            },
          }), { headers: { "Content-Type": "text/event-stream" } });
          let searched = 0;
          for (const name of ["split", "includes", "indexOf"]) {
            const search = String.prototype[name];
            String.prototype[name] = function (...given) {
              searched += this.length;
              return search.apply(this, given);
            };
          }
          const { GenerationStream } = await import("/stream.js");
          await new GenerationStream("/", {}).start();
          return searched / frame.length;
        }""")
        assert searched < 5


class TestEnds:
    @pytest.mark.parametrize("status", ["running", "unconfirmed", "expired"])
    def test_that_are_open_leave_the_reader_at_its_place(self, script: Script, status: str) -> None:
        reported = script.read(stream(ONE, end(status)), stream(TWO, end()), starts=2)
        assert (reported["text"], reported["ends"]) == ("one two", [status, "done"])
        assert script.asked()[1] == ("GET", ATTACHED, "1-4")

    def test_that_are_final_leave_nothing_to_ask_for(self, script: Script) -> None:
        reported = script.read(stream(ONE, end()), {"status": 204}, starts=2)
        assert (reported["ends"], reported["lastEventId"]) == (["done", None], "end")
        assert script.asked()[1] == ("GET", ATTACHED, "end")
