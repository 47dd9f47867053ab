"""The remote's API as calls: one method, one request, one answer or one error of ours.

Sends once, follows no redirect and never retries by itself: what may be sent again is for
`retry.decide` and its caller. Safe to share between threads and to carry across a fork.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from decimal import Decimal
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter

from creatify_textgen.exceptions import ContractError, RequestError
from creatify_textgen.remote import contract, protocol, transport, wire
from creatify_textgen.remote.chunk_stream import ChunkStream
from creatify_textgen.remote.contract import (
    Credentials,
    GenerationRequest,
    RemoteGeneration,
    Timeouts,
)
from creatify_textgen.remote.exchange import Exchange
from creatify_textgen.remote.listing import ListReader
from creatify_textgen.remote.sse import DEFAULT_EVENT_CAP

DEFAULT_MAX_ANSWER_BYTES = 32 * 1024 * 1024
DEFAULT_POOL_SIZE = 32
LONGEST_LIST_SECONDS = 600.0
_DEFAULT_TIMEOUTS = Timeouts()

T = TypeVar("T")


class RemoteClient:
    """One workspace at the remote.

    `max_answer_bytes` bounds an answer, or an item of the list, without its echoed media;
    `pool_size` is how many idle connections are kept for GETs.
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
        self._threads = threading.local()
        self._adapter = self._new_adapter()
        self._process_id = os.getpid()

    def __repr__(self) -> str:
        return f"<RemoteClient of {self._credentials.base_url}>"

    def create(self, request: GenerationRequest) -> RemoteGeneration:
        """Create a generation, and wait for its text where the request is `sync`.

        Bills. Ends within `Timeouts.longest_send` (plus the resolver's own time), one way or the
        other. Raises: `RemoteError`, of which `request_sent` says whether anything may have been
        accepted; `RequestError` where the request cannot be put into JSON or a medium not read.
        """
        body = protocol.build_create(request)
        wait = self._timeouts.sync if request.sync else self._timeouts.read
        limit = self._timeouts.longest_send(sync=request.sync, body_bytes=len(body))
        line = transport.Line()
        with self._own_session(line) as session, transport.deadline(line, limit):
            exchange = self._exchange(session, line=line, wait=wait, request=request)
            with closing(exchange.post(self._url(contract.GENERATIONS_PATH), body)) as response:
                return exchange.read(
                    response, protocol.parse_generation, cap=self._max_answer_bytes
                )

    def stream(self, request: GenerationRequest) -> ChunkStream:
        """Create a generation and return its chunks, to be iterated once and closed.

        Bills. Errors before the stream raise as in `create`; then see `ChunkStream`.
        """
        body = protocol.build_stream(request)
        wait = self._timeouts.stream_idle
        limit = self._timeouts.longest_send(stream=True, body_bytes=len(body))
        line = transport.Line()
        session = self._own_session(line)
        exchange = self._exchange(session, line=line, wait=wait, request=request)
        try:
            with transport.deadline(line, limit):
                response = exchange.post(self._url(contract.STREAM_PATH), body)
        except BaseException:
            session.close()
            raise
        return ChunkStream(session, response, line=line, cap=self._max_event_bytes)

    def get(self, remote_id: str) -> RemoteGeneration:
        """Return one generation as it is now. Free; may be repeated.

        Raises: `RemoteRejectedError` with code `not_found` only where the remote itself says
        so; a router's or proxy's 404 is a `RemoteUnavailableError` (section 4.3).
        """
        if wire.identifier(remote_id) is None:
            raise RequestError("The remote's ids do not look like this.")
        found = self._fetch(f"{contract.GENERATIONS_PATH}{remote_id}/", protocol.parse_generation)
        if found.id.lower() != remote_id.lower():
            raise ContractError("The remote answered with another generation.")
        return found

    def list(self) -> Iterator[RemoteGeneration]:
        """Yield all of the workspace's generations, in no order that could be relied on. Free.

        Raises: while iterating, also where the list is cut off; only its normal end proves that
        something is not in it. Close the iterator if it is not read to its end.
        """
        url = self._url(contract.GENERATIONS_PATH)
        seen: set[str] = set()
        while url and url not in seen:
            seen.add(url)
            url = yield from self._list_page(url)

    def remaining_credits(self) -> Decimal:
        """Return the workspace's balance, which trails what was used by minutes. Free."""
        return self._fetch(contract.CREDITS_PATH, protocol.parse_credits)

    def close(self) -> None:
        """Close idle connections. The client may still be used, and opens new ones."""
        self._adapter.close()

    def _list_page(self, url: str) -> Generator[RemoteGeneration, None, str]:
        exchange = self._shared_exchange()
        with closing(exchange.get(url)) as response:
            blocks = exchange.blocks(response, seconds=LONGEST_LIST_SECONDS)
            reader = ListReader(blocks, item_cap=self._max_answer_bytes)
            for item in reader.items():
                yield protocol.parse_generation(item)
        return self._next_url(url, reader.next_url)

    def _next_url(self, url: str, following: str) -> str:
        """Return our own origin with the path that the remote names, or an error for other hosts.

        Behind a proxy the remote may name its own host with another scheme.
        """
        if not following:
            return ""
        try:
            target = urlsplit(urljoin(url, following))
        except ValueError:
            raise ContractError("The list names no readable next page.") from None
        origin = urlsplit(url)
        if target.hostname != origin.hostname:
            raise ContractError("The list goes on at another host, which our keys are not for.")
        return target._replace(scheme=origin.scheme, netloc=origin.netloc, fragment="").geturl()

    def _fetch(self, path: str, parse: Callable[[bytes], T]) -> T:
        exchange = self._shared_exchange()
        with closing(exchange.get(self._url(path))) as response:
            return exchange.read(
                response, parse, cap=self._max_answer_bytes, seconds=self._timeouts.read
            )

    def _exchange(
        self,
        session: requests.Session,
        *,
        line: transport.Line,
        wait: float,
        request: GenerationRequest | None = None,
    ) -> Exchange:
        return Exchange(
            session,
            self._credentials,
            line=line,
            connect=self._timeouts.connect,
            wait=wait,
            webhook_url=request.webhook_url if request else "",
        )

    def _shared_exchange(self) -> Exchange:
        return self._exchange(
            self._shared_session(), line=transport.Line(), wait=self._timeouts.read
        )

    def _url(self, path: str) -> str:
        return f"{self._credentials.base_url}{path}"

    def _own_session(self, line: transport.Line) -> requests.Session:
        return transport.new_session(self._credentials, transport.OneConnection(line))

    def _shared_session(self) -> requests.Session:
        """Return this thread's session; all of them draw on one pool of connections."""
        if self._process_id != os.getpid():
            # A connection used by two processes would mix up their answers.
            self._process_id = os.getpid()
            self._adapter = self._new_adapter()
            self._threads = threading.local()
        session: requests.Session | None = getattr(self._threads, "session", None)
        if session is None:
            session = transport.new_session(self._credentials, self._adapter)
            self._threads.session = session
        return session

    def _new_adapter(self) -> HTTPAdapter:
        return HTTPAdapter(pool_connections=4, pool_maxsize=self._pool_size)
