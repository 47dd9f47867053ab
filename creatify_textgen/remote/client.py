"""The remote's API as methods: each makes one request and returns an answer or raises our error.

It sends once, follows no redirect and never repeats a POST: `retry.decide` and the caller decide
what is sent again. A client may be shared by threads, and survives a fork.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from urllib.parse import quote

import requests

from creatify_textgen import remote_ids
from creatify_textgen.exceptions import ContractError, RemoteUnavailableError, RequestError
from creatify_textgen.remote import contract, protocol, transport
from creatify_textgen.remote.body import JsonBody
from creatify_textgen.remote.chunk_stream import ChunkStream
from creatify_textgen.remote.contract import (
    Credentials,
    GenerationRequest,
    Listing,
    RemoteGeneration,
    Timeouts,
)
from creatify_textgen.remote.exchange import Exchange
from creatify_textgen.remote.observation import Observation, observed
from creatify_textgen.remote.pages import Page, is_part, read_pages
from creatify_textgen.remote.sse import DEFAULT_EVENT_CAP

DEFAULT_MAX_ANSWER_BYTES = 32 * 1024 * 1024
"""It repeats the request: the longest text that a model reads, some 4 million characters, of which
JSON may write each in six bytes. An answer that cannot be read was paid for, too."""
MAX_BALANCE_BYTES = 64 * 1024
DEFAULT_POOL_SIZE = 32
# The remote knows no pages (section 4.2): one answer may be the whole history of a workspace.
LONGEST_LIST_SECONDS = 600.0
_DEFAULT_TIMEOUTS = Timeouts()


def _everything(_remote: RemoteGeneration) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class PreparedSend:
    """A create or a stream whose body is built, so the length of its lease is known."""

    body: JsonBody = field(repr=False)
    """Its `len()` is the exact Content-Length, with the media."""
    seconds: float
    """After this the send has certainly ended, or the answer of a stream has begun. It is the
    deadline of the send, and the lease must last at least as long."""
    wait: float
    """The longest silence before and in the answer, in seconds."""
    webhook_url: str = field(default="", repr=False)
    model_name: str = ""


class RemoteClient:
    """One workspace at the remote.

    `max_answer_bytes` limits an answer, or an item of the list, without its echoed media.
    `pool_size` is the number of idle connections that are kept for GETs.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        timeouts: Timeouts = _DEFAULT_TIMEOUTS,
        max_answer_bytes: int = DEFAULT_MAX_ANSWER_BYTES,
        max_event_bytes: int = DEFAULT_EVENT_CAP,
        pool_size: int = DEFAULT_POOL_SIZE,
    ) -> None:
        self._credentials = credentials
        self._timeouts = timeouts
        self._max_answer_bytes = max_answer_bytes
        self._max_event_bytes = max_event_bytes
        self._pool_size = pool_size
        # One session per thread, because `requests` does not say that a session may be shared. The
        # adapter may be: it only passes requests to urllib3's pools, which are made for threads.
        self._threads = threading.local()
        self._adapter = self._new_adapter()
        self._process_id = os.getpid()

    def __repr__(self) -> str:
        return f"<RemoteClient of {self._credentials.base_url}>"

    def prepare(self, request: GenerationRequest, *, stream: bool = False) -> PreparedSend:
        """Build the body of a create, or of a stream, before the lease of its send is taken.

        Opens no connection. Raises: `RequestError` if the request cannot be written as JSON.
        """
        body = protocol.build_stream(request) if stream else protocol.build_create(request)
        return PreparedSend(
            body=body,
            seconds=self._timeouts.longest_send(
                sync=request.sync, stream=stream, body_bytes=len(body)
            ),
            wait=self._timeouts.longest_wait(sync=request.sync, stream=stream),
            webhook_url=request.webhook_url,
            model_name=request.model_name,
        )

    def create(self, request: GenerationRequest | PreparedSend) -> RemoteGeneration:
        """Create a generation, and wait for its text if the request is `sync`.

        Spends credits. Ends within the `seconds` of `prepare`, plus the time of the DNS lookup.
        Raises: `RemoteError`, whose `request_sent` says whether the remote may have accepted the
        request; `RequestError` if it cannot be written as JSON or a medium cannot be read.
        """
        send = request if isinstance(request, PreparedSend) else self.prepare(request)
        line = self._line_of(send)
        url = self._url(contract.GENERATIONS_PATH)
        with self._observed("create", model_name=send.model_name) as seen, self._own_session() as s:
            exchange = self._exchange(s, line, webhook_url=send.webhook_url)
            with closing(exchange.post(url, send.body)) as response:
                parse = exchange.parse_generation
                seen.answer = exchange.read(response, parse, cap=self._max_answer_bytes)
        return seen.answer

    def stream(self, request: GenerationRequest | PreparedSend) -> ChunkStream:
        """Create a generation and return its chunks, to be iterated once and closed.

        Spends credits. Raises: before the first chunk the same as `create`, then see `ChunkStream`.
        """
        send = request if isinstance(request, PreparedSend) else self.prepare(request, stream=True)
        line = self._line_of(send)
        session = self._own_session()
        exchange = self._exchange(session, line, webhook_url=send.webhook_url)
        seen = Observation("stream", self._credentials.base_url, model_name=send.model_name)
        try:
            response = exchange.post(self._url(contract.STREAM_PATH), send.body)
        except BaseException as error:
            seen.end(error)
            session.close()
            raise
        seen.leave()
        return ChunkStream(
            session,
            response,
            line=line,
            cap=self._max_event_bytes,
            plain_cap=self._max_answer_bytes,
            secrets=exchange.secrets,
            observation=seen,
        )

    def get(self, remote_id: str) -> RemoteGeneration:
        """Return one generation as it is now. Free; may be repeated.

        `remote_id` is written as the remote writes it.

        Raises: `RemoteRejectedError` with code `not_found` only if the remote itself answers so.
        The 404 of a router or proxy is a `RemoteUnavailableError` (section 4.3).
        """
        if remote_ids.identifier(remote_id) is None:
            raise RequestError("No generation of the remote can have this id.")
        # A UUID may be in braces, or be a URN, in whose path a colon is allowed (RFC 3986, 3.3).
        url = self._url(f"{contract.GENERATIONS_PATH}{quote(remote_id, safe=':')}/")
        with self._observed("get", remote_id=remote_id) as seen:
            exchange, response = self._get(url)
            with closing(response):
                parse = exchange.parse_generation
                found = exchange.read(response, parse, cap=self._max_answer_bytes)
            # A cache that mixes up answers must not give a row the text of another.
            if found.id != remote_ids.identifier(remote_id):
                raise ContractError("The remote answered with another generation.")
            seen.answer = found
        return found

    def list(
        self,
        keep: Callable[[RemoteGeneration], bool] = _everything,
        *,
        seconds: float = LONGEST_LIST_SECONDS,
    ) -> Listing:
        """Read the list of the workspace's generations. Free. The order is not reliable.

        `keep` is called with each generation that arrives. The listing contains those for which it
        returns True, so memory depends on their number and not on the length of the list. All
        pages together end within `seconds`, plus the time of `keep`.

        Raises: `RemoteError` if no item could be read. A later error is the listing's `failure`.
        Only a `Listing` that `is_whole` can prove that something is absent.
        """
        open_page = partial(self._open_page, until=time.monotonic() + seconds)
        first = self._url(contract.GENERATIONS_PATH)
        with self._observed("list"):
            return read_pages(first, open_page, keep=keep, item_cap=self._max_answer_bytes)

    def remaining_credits(self, *, seconds: float = math.inf) -> Decimal:
        """Return the workspace's balance, which is some minutes old at the remote. Free.

        Ends within `seconds`, or within the time of a GET if that is less.
        """
        until = time.monotonic() + seconds
        with self._observed("credits"):
            exchange, response = self._get(self._url(contract.CREDITS_PATH), until=until)
            with closing(response):
                return exchange.read(response, protocol.parse_credits, cap=MAX_BALANCE_BYTES)

    def close(self) -> None:
        """Close idle connections. The client may still be used, and opens new ones."""
        self._adapter.close()

    def _observed(self, operation: str, **facts: str) -> AbstractContextManager[Observation]:
        return observed(operation, self._credentials.base_url, **facts)

    @contextmanager
    def _open_page(self, url: str, *, until: float) -> Iterator[Page]:
        exchange, response = self._get(url, until=until)
        with closing(response):
            # The head must come within the time of a GET. The body may be the whole history.
            exchange.line.until = until
            yield Page(
                exchange.blocks(response),
                exchange.parse_generation,
                exchange.clock,
                is_part=is_part(response.status_code, response.headers),
            )

    def _get(self, url: str, *, until: float = math.inf) -> tuple[Exchange, requests.Response]:
        """Return the head of an answer that comes within the time of a GET.

        The remote may close an idle connection at the moment it is used again. A GET is free, so
        it is repeated at once. This ends, because each attempt uses up one idle connection, and a
        new connection is never stale.
        """
        until = min(until, time.monotonic() + self._timeouts.connect + self._timeouts.read)
        while True:
            line = transport.WatchedSocket(
                connect=self._timeouts.connect, wait=self._timeouts.read, until=until
            )
            exchange = self._exchange(self._shared_session(), line)
            try:
                return exchange, exchange.get(url)
            except RemoteUnavailableError:
                if not line.is_stale:
                    raise

    def _line_of(self, send: PreparedSend) -> transport.WatchedSocket:
        until = time.monotonic() + send.seconds
        return transport.WatchedSocket(connect=self._timeouts.connect, wait=send.wait, until=until)

    def _exchange(
        self, session: requests.Session, line: transport.WatchedSocket, *, webhook_url: str = ""
    ) -> Exchange:
        return Exchange(session, self._credentials, line=line, webhook_url=webhook_url)

    def _url(self, path: str) -> str:
        return f"{self._credentials.base_url}{path}"

    def _own_session(self) -> requests.Session:
        """Return a session for one POST, which never uses a connection that served another call.

        If the remote closed an idle connection at that moment, nobody could know whether it had
        read the POST.
        """
        adapter = transport.WatchedAdapter(pool_connections=1, pool_maxsize=1)
        return transport.new_session(self._credentials, adapter)

    def _shared_session(self) -> requests.Session:
        """Return this thread's session. All sessions share one pool of connections."""
        if self._process_id != os.getpid():
            # After a fork a new pool is made: two processes on one connection would mix up answers.
            self._adapter = self._new_adapter()
            self._threads = threading.local()
            # Last: another thread that reads it uses what was made before.
            self._process_id = os.getpid()
        session: requests.Session | None = getattr(self._threads, "session", None)
        if session is None:
            session = transport.new_session(self._credentials, self._adapter)
            self._threads.session = session
        return session

    def _new_adapter(self) -> transport.WatchedAdapter:
        return transport.WatchedAdapter(pool_connections=4, pool_maxsize=self._pool_size)
