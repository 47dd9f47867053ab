"""The emulator in this process and in virtual time, behind the real client: no socket, no sleep.

Its answers reach the client as bytes, so the app has to see through its lies by itself. Time
passes only where `pass_time` or an answer that takes time says so.
"""

from __future__ import annotations

import asyncio
import re
import selectors
import threading
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.client import IncompleteRead
from io import RawIOBase
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse
from urllib3.exceptions import NewConnectionError, ProtocolError

from creatify_textgen.emulator.api.state import RemoteGeneration, State
from creatify_textgen.emulator.driving.application import EmulatorApplication
from creatify_textgen.emulator.faults.switchboard import Switchboard
from creatify_textgen.emulator.http.exchange import Answer, AnyAnswer, Head, Pieces, Request, Stream
from creatify_textgen.remote import transport
from tests.faults.remote_double import KilledError

__all__ = ["Accepted", "LyingRemote"]

ROW_ID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
LIST_PATH = "/sse/text_generator/"
TRUE_LIST = {
    "error_at_list": "none",
    "outage": "none",
    "list_limit": 0,
    "list_next": "honest",
    "list_damage": "none",
    "workspace": "",
}
"""The switches that make a list complete. A list that only lags counts as complete, too."""
SWITCHES = {"pending_seconds": 5, "running_seconds": 20, "chunk_interval": 0}
BROKEN_STREAM = {"stream_fault": "cut_without_creatify"}
FAULT_SWITCHES: dict[str, dict[str, Any]] = {
    "refused_503": {"error_at_create": "503"},
    "refused_429": {"error_at_create": "429"},
    "refused_400": {"error_at_create": "400"},
    "lost_before": {"reset_before_accept": True},
    "lost_after": {"reset_after_accept": True},
    "cut": BROKEN_STREAM,
    "cut_and_never_listed": {**BROKEN_STREAM, "stream_listed": "never"},
    "error_inside": {"stream_fault": "error_event"},
}
"""What the words of `remote_double` are for the emulator; others are done by `_Adapter`."""


@dataclass(frozen=True)
class Accepted:
    """A create that was accepted, and so is charged."""

    remote_id: str
    at: datetime


@dataclass(frozen=True)
class ListAnswer:
    """An answer of the list."""

    at: datetime
    body: bytes


class VirtualSelector(selectors.SelectSelector):
    """Lets virtual time pass in place of waiting."""

    seconds = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        assert timeout is not None, "The emulator waits for what can never happen."
        self.seconds += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that jumps from timer to timer."""

    def __init__(self) -> None:
        self.selector = VirtualSelector()
        super().__init__(self.selector)
        # asyncio runs what is due before the present plus this, which must differ from it: years
        # of virtual seconds leave a float no nanoseconds.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        return self.selector.seconds


class LyingRemote:
    """The remote of one run of the machine; `install` puts it behind the real client."""

    def __init__(self, *, start: datetime) -> None:
        self._start = start
        self.loop = VirtualLoop()
        self.switches = Switchboard(**SWITCHES)
        self._state = State(settings=self.switches.settings, now=self.now)
        self.application = EmulatorApplication(
            switches=self.switches, state=self._state, post=self._keep_delivery
        )
        self.faults: deque[str] = deque()
        self.is_down = False
        self.row: uuid.UUID | None = None
        """The row that a stream is sent for; its body names none."""
        self.meanwhile: Callable[[], None] | None = None
        """Called once while the next create is being uploaded."""
        self.accepted: dict[uuid.UUID, list[Accepted]] = defaultdict(list)
        self.outbox: list[tuple[str, bytes]] = []
        """Webhooks under way: the URL and the body."""
        self.lists: list[ListAnswer] = []
        """Complete answers of the list."""
        self._lock = threading.Lock()
        self._noted: set[str] = set()

    def close(self) -> None:
        """Let go of the loop. May be called twice."""
        if not self.loop.is_closed():
            self._run(self.application.stop())
            self.loop.close()

    def now(self) -> datetime:
        """The true time, which is no node's and not the remote's."""
        return self._start + timedelta(seconds=self.loop.time())

    def pass_time(self, seconds: float) -> None:
        self._run(asyncio.sleep(seconds))

    @property
    def generations(self) -> dict[str, RemoteGeneration]:
        return {each.id: each for each in self._state.generations}

    def advance(self, remote_id: str, status: str) -> None:
        """Move a generation on, if it exists already and has not ended."""
        generation = self.generations[remote_id]
        if generation.stored_at is None or generation.is_final:
            return
        if status in ("done", "failed"):
            self._call(lambda: self.application.processing.finish(generation, status=status))
        else:
            generation.status = status

    def prompt_of(self, remote_id: str) -> str:
        return str(self.generations[remote_id].request["messages"][0]["content"])

    def proved_absent(self, accepted: Accepted, *, until: datetime) -> bool:
        """Whether two complete lists, ten minutes apart, did not hold what was accepted."""
        name = accepted.remote_id.encode()
        moments = [
            answer.at
            for answer in self.lists
            if accepted.at <= answer.at <= until and name not in answer.body
        ]
        return bool(moments) and moments[-1] - moments[0] >= timedelta(minutes=10)

    def session(self, credentials: Any, adapter: object) -> requests.Session:
        """Stand in for `transport.new_session`."""
        session = requests.Session()
        session.mount("https://", _Adapter(self))
        session.headers.update({"X-API-ID": credentials.api_id, "X-API-KEY": credentials.api_key})
        return session

    def exchange(self, sent: requests.PreparedRequest, *, wait: float) -> requests.Response:
        """Answer one request of the client."""
        fault = self.faults.popleft() if sent.method == "POST" and self.faults else "none"
        if self.is_down or fault == "never_connected":
            raise requests.ConnectionError(NewConnectionError(None, "no route"))  # type: ignore[arg-type]
        # As the real adapter's connections report to it.
        line = transport._calls.line
        line.is_open = True
        limit = float("inf") if line.until is None else line.until - time.monotonic()
        if fault == "killed_before":
            raise KilledError
        if fault in FAULT_SWITCHES:
            self.switches.set(times=1, **FAULT_SWITCHES[fault])
        body = b"".join(sent.body or ())  # type: ignore[arg-type]
        wait = min(wait, self._upload(body, limit=limit))
        answer = self._answer(sent, body=body, wait=wait)
        if fault == "killed_after":
            raise KilledError
        return self._respond(answer, sent=sent, fault=fault)

    def _upload(self, body: bytes, *, limit: float) -> float:
        """Let the time of an upload pass; return what is left of the call's seconds."""
        rate = self.switches.settings.upload_rate
        seconds = len(body) / rate if rate else 0.0
        self.pass_time(min(seconds, limit) / 2)
        # A worker's thread has no database connection for what another node does.
        if body and self.meanwhile is not None and is_main_thread():
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        self.pass_time(min(seconds, limit) / 2)
        if seconds > limit:
            raise requests.ConnectionError(ProtocolError("cut", ConnectionResetError()))
        return limit - seconds

    def _answer(self, sent: requests.PreparedRequest, *, body: bytes, wait: float) -> AnyAnswer:
        url = urlsplit(str(sent.url))
        headers = {name.lower(): str(value) for name, value in sent.headers.items()}
        head = Head(str(sent.method), url.path, url.query, headers, keep_alive=False)
        opened: Any = self.application.open_body(head)
        opened.feed(body)
        settings = self.switches.settings
        answering = self.application.answer(Request(head, opened))
        try:
            answer: AnyAnswer = self._run(asyncio.wait_for(answering, wait))
        except TimeoutError:
            raise requests.ReadTimeout from None
        finally:
            self._note_accepted()
        if isinstance(answer, Pieces):
            answer = Answer(answer.status, self._joined(answer))
        is_true = all(getattr(settings, name) == value for name, value in TRUE_LIST.items())
        if head.method == "GET" and head.path == LIST_PATH and is_true:
            assert isinstance(answer, Answer)
            self.lists.append(ListAnswer(self.now(), answer.body))
        return answer

    def _note_accepted(self) -> None:
        with self._lock:
            for remote_id, generation in self.generations.items():
                if remote_id not in self._noted:
                    self._noted.add(remote_id)
                    named = ROW_ID.search(generation.request.get("webhook_url", ""))
                    row = uuid.UUID(named[0]) if named else self.row
                    assert row is not None
                    self.accepted[row].append(Accepted(remote_id, self.now()))

    def _joined(self, answer: Pieces) -> bytes:
        async def read() -> bytes:
            return b"".join([piece async for piece in answer.pieces])

        joined: bytes = self._run(read())
        return joined

    def _respond(
        self, answer: AnyAnswer, *, sent: requests.PreparedRequest, fault: str
    ) -> requests.Response:
        headers = dict(self.application.date_header())
        if isinstance(answer, Stream):
            blocks, failure = self._play(answer, fault=fault)
            headers["Content-Type"] = "text/event-stream"
        elif isinstance(answer, Answer):
            blocks, failure = [answer.body], None
            headers |= {"Content-Type": answer.content_type, **answer.headers}
        else:
            raise requests.ConnectionError(ProtocolError("reset", ConnectionResetError()))
        response = requests.Response()
        response.status_code = answer.status
        response.headers.update(headers)
        response.url, response.request = str(sent.url), sent
        response.raw = HTTPResponse(
            body=Wire(blocks, failure=failure), headers=headers, preload_content=False
        )
        return response

    def _play(self, stream: Stream, *, fault: str) -> tuple[list[bytes], BaseException | None]:
        self._call(lambda: stream.on_end(everything=True))
        blocks = list(stream.events)
        if fault == "killed_inside":
            return blocks[:1], KilledError()
        if fault == "killed_at_the_end":
            return blocks, KilledError()
        return blocks, None if stream.ending == "complete" else IncompleteRead(b"")

    def _call(self, function: Callable[[], Any]) -> None:
        async def call() -> None:
            function()

        self._run(call())

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run the loop until the work is done. A sweep sends from several threads."""
        with self._lock:
            return self.loop.run_until_complete(work)

    async def _keep_delivery(self, url: str, *, body: bytes) -> int:
        self.outbox.append((url, body))
        return 204


def is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


class Wire(RawIOBase):
    """The body of an answer, block by block, and how it breaks off."""

    def __init__(self, blocks: list[bytes], *, failure: BaseException | None) -> None:
        self._blocks = deque(block for block in blocks if block)
        self._failure = failure

    def readable(self) -> bool:
        return True

    def read1(self, size: int = -1) -> bytes:
        if self._blocks:
            return self._blocks.popleft()
        if self._failure is not None:
            raise self._failure
        return b""

    read = read1  # type: ignore[assignment]


class _Adapter(BaseAdapter):
    """Takes what requests would send over a socket to the remote."""

    def __init__(self, remote: LyingRemote) -> None:
        super().__init__()
        self._remote = remote

    def send(  # type: ignore[override]
        self, request: requests.PreparedRequest, *, timeout: Any = None, **_: Any
    ) -> requests.Response:
        _, wait = timeout
        return self._remote.exchange(request, wait=wait)

    def close(self) -> None:
        """There is no connection to close."""
