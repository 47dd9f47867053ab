"""Makes HTTP calls with `requests`: one attempt per call, and its errors turned into ours.

Knows nothing of generations. Invariants: no exception of requests or urllib3 leaves this module,
because their frames contain the headers with both keys. Each read and write ends by the deadline
of its call, even if the other side sends a byte now and then.
"""

from __future__ import annotations

import io
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3 import exceptions as urllib3_errors

from creatify_textgen.exceptions import ContractError, RemoteUnavailableError, TextgenError
from creatify_textgen.remote.certificates import TrustingAdapter
from creatify_textgen.remote.charsets import as_utf8
from creatify_textgen.remote.contract import Credentials
from creatify_textgen.remote.plain_http import FinalAnswer, PlainSession

# For one block of a body. urllib3 would use the connect timeout, which is too short for a slow
# uplink.
SEND_TIMEOUT_SECONDS = 30.0
# One TLS record. A larger block would be several writes, each with the whole timeout.
_PIECE_BYTES = 16 * 1024
_BLOCK_BYTES = 64 * 1024
_FOREIGN = (requests.RequestException, urllib3_errors.HTTPError, OSError)
_TIMEOUTS = (requests.Timeout, urllib3_errors.TimeoutError, TimeoutError)

T = TypeVar("T")


class WatchedSocket:
    """The connection of one call: its timeouts, and whether a request may have left on it.

    Made when the call begins. Any thread may cut it.
    """

    def __init__(self, *, connect: float, wait: float, until: float | None = None) -> None:
        """`connect` and `wait` are seconds; `until` is a time of the monotonic clock."""
        self.connect = connect
        self.wait = wait
        """The longest silence between two pieces of the answer."""
        self.until = until
        self.is_open = False
        """Whether the connection was open, with TLS. From then on the request may have left."""
        self.is_reused = False
        """Whether it was used for another call before."""
        self.is_stale = False
        """Whether it broke because it was idle for too long: the remote received no request."""
        self.is_cut = False
        self._socket: socket.socket | None = None

    @property
    def is_over(self) -> bool:
        """Whether the call's time is up."""
        return self.until is not None and time.monotonic() >= self.until

    def attach(self, connected: socket.socket, *, is_reused: bool) -> None:
        """Take a connection for this call. Raises: `TimeoutError` if it came too late."""
        self.limit(connected, SEND_TIMEOUT_SECONDS)
        self.is_open = True
        self.is_reused = is_reused
        self._socket = connected
        # It may have been cut while it connected, when there was no socket to shut down.
        if self.is_cut:
            self.cut()

    def limit(self, connected: socket.socket, longest: float) -> None:
        """Let the next read or write take no longer than this, nor than the call may still take.

        Raises: `TimeoutError` if the call's time is up.
        """
        if self.until is not None:
            longest = min(longest, self.until - time.monotonic())
        if longest <= 0:
            raise TimeoutError("the time for this call is up")
        if connected.gettimeout() != longest:
            connected.settimeout(longest)

    def cut(self) -> None:
        """End a read or write in any thread, with an error or an early end. May be called twice."""
        self.is_cut = True
        if self._socket is not None:
            with suppress(OSError):
                _shut_down(self._socket)


def _shut_down(connected: socket.socket) -> None:
    # The TLS socket's own method would remove the cipher while a thread reads. eventlet's class
    # has no other, and none of its threads reads meanwhile.
    if hasattr(socket.socket, "shutdown"):
        socket.socket.shutdown(connected, socket.SHUT_RDWR)
    else:
        connected.shutdown(socket.SHUT_RDWR)


class _Calls(threading.local):
    """The `WatchedSocket` of the call that this thread makes. Connections of the pool read it."""

    line: WatchedSocket


_calls = _Calls()


class WatchedAdapter(TrustingAdapter):
    """An adapter whose connections, direct or through a proxy, report to a `WatchedSocket`.

    Only this shows whether a request may have left. The exceptions do not: the same one is raised
    for a missing certificate file and for a connection that was reset.
    """

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        _watch(self.poolmanager)

    def proxy_manager_for(self, proxy: Any, **options: Any) -> Any:
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **options)
        if is_new:
            _watch(manager)
        return manager


def new_session(credentials: Credentials, adapter: HTTPAdapter) -> requests.Session:
    """Return a session that sends the keys with every request. Not for use by two threads."""
    session = PlainSession()
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.headers.update(
        {
            "User-Agent": "creatify-textgen",
            # Compression delays events of a stream, and a small answer may unpack to a huge one.
            "Accept-Encoding": "identity",
            "X-API-ID": credentials.api_id,
            "X-API-KEY": credentials.api_key,
        }
    )
    return session


def attempt(action: Callable[[], T], *, line: WatchedSocket) -> T:
    """Run code that uses the connection. Raises: only our errors, without frames of the others."""
    failure: Exception
    _calls.line = line
    try:
        return action()
    except TextgenError as error:
        failure = error.with_traceback(None)
    except _FOREIGN as error:
        failure = _translate(error, line=line)
    except Exception as error:  # noqa: BLE001  a bug here or in a library; raised again below
        failure = _bare(error)
    raise failure


def read_blocks(response: requests.Response, *, line: WatchedSocket) -> Iterator[bytes]:
    """Yield an answer's body as it arrives, in UTF-8.

    Raises: `RemoteUnavailableError` if it breaks off or the time is up.
    """
    content_type = response.headers.get("content-type", "")
    return as_utf8(_read_blocks(response, line=line), content_type=content_type)


def _read_blocks(response: requests.Response, *, line: WatchedSocket) -> Iterator[bytes]:
    read = partial(response.raw.read1, _BLOCK_BYTES, decode_content=True)
    while block := attempt(read, line=line):
        yield block
    # Without a Content-Length, a connection that was cut here ends like a complete answer.
    if line.is_cut:
        raise _translate(OSError(), line=line)


def read_whole(blocks: Iterator[bytes], *, cap: int) -> bytes:
    """Return all blocks as one. Raises: `ContractError` above the cap."""
    # Not a list: a block may be one byte, and takes eight in a list.
    body = bytearray()
    for block in blocks:
        if len(body) + len(block) > cap:
            raise ContractError(f"The remote's answer is above {cap} bytes.")
        body += block
    return bytes(body)


class _Reader(io.RawIOBase):
    """Reads a connection; each read ends by the deadline of its call."""

    def __init__(self, connected: socket.socket, line: WatchedSocket) -> None:
        super().__init__()
        self._connected = connected
        self._line = line
        self._raw: Any = connected.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        line = self._line
        line.limit(self._connected, line.wait if line.is_open else line.connect)
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Readable:
    """The part of a socket that `http.client` needs to read an answer."""

    def __init__(self, connected: socket.socket, line: WatchedSocket) -> None:
        self._reader = _Reader(connected, line)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._reader)


def _watch(manager: Any) -> None:
    manager.pool_classes_by_scheme = {
        scheme: _watched_pool(base) for scheme, base in manager.pool_classes_by_scheme.items()
    }


@cache
def _watched_pool(base: Any) -> type[Any]:
    return type(base.__name__, (base,), {"ConnectionCls": _watched_connection(base.ConnectionCls)})


@cache
def _watched_connection(base: Any) -> type[Any]:
    class WatchedConnection(base):
        def connect(self) -> None:
            line = _calls.line
            super().connect()
            line.attach(self.sock, is_reused=False)

        def request(self, *args: Any, **options: Any) -> None:
            line = _calls.line
            if self.sock is not None and not line.is_open:
                line.attach(self.sock, is_reused=True)
            super().request(*args, **options)

        def send(self, data: Any) -> None:
            if self.sock is None:
                self.connect()
            for start in range(0, len(data), _PIECE_BYTES):
                _calls.line.limit(self.sock, SEND_TIMEOUT_SECONDS)
                super().send(data[start : start + _PIECE_BYTES])

        def response_class(self, connected: Any, *args: Any, **options: Any) -> FinalAnswer:
            readable: Any = _Readable(connected, _calls.line)
            return FinalAnswer(readable, *args, **options)

    return WatchedConnection


def _translate(error: Exception, *, line: WatchedSocket) -> RemoteUnavailableError:
    reason = _innermost(error)
    timed_out = isinstance(reason, _TIMEOUTS)
    line.is_stale = line.is_reused and not (timed_out or line.is_cut or line.is_over)
    if not line.is_open:
        what = "The remote cannot be reached; nothing was sent"
    elif line.is_cut or line.is_over:
        what = "The remote's answer was not complete in time"
    elif timed_out:
        what = "The remote did not answer in time"
    else:
        what = "The connection to the remote broke off"
    # Only the type, because a message of `requests` may quote the request.
    return RemoteUnavailableError(f"{what} ({type(reason).__name__}).", request_sent=line.is_open)


def _bare(error: Exception) -> Exception:
    """Return the error without frames and causes. A note says where it was raised."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    error.add_note(f"Raised in {place.filename}:{place.lineno}, whose frames hold the keys.")
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _innermost(error: BaseException) -> BaseException:
    """Return the error that requests and urllib3 have wrapped, such as a NameResolutionError."""
    while True:
        wrapped = (getattr(error, "reason", None), *error.args)
        inner = next((value for value in wrapped if isinstance(value, Exception)), None)
        if inner is None:
            return error
        error = inner
