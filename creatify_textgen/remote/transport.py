"""Sockets by way of requests: one attempt per call, and foreign errors turned into ours.

Knows nothing of generations. Invariant: what leaves this module carries no exception of requests
or urllib3, because the frames behind those hold the headers and with them both keys.
"""

from __future__ import annotations

import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3 import exceptions as urllib3_errors

from creatify_textgen.exceptions import ContractError, RemoteUnavailableError, TextgenError
from creatify_textgen.remote.contract import Credentials

# urllib3 sends under the connect timeout, which is meant for an answering host, not for an uplink.
SEND_TIMEOUT_SECONDS = 30.0
_BLOCK_BYTES = 64 * 1024
_NEVER_SENT = (
    urllib3_errors.NewConnectionError,
    urllib3_errors.ConnectTimeoutError,
    # requests' complaints about URLs and headers, made before anything is opened.
    ValueError,
)
_FOREIGN = (requests.RequestException, urllib3_errors.HTTPError, OSError)

T = TypeVar("T")


class Line:
    """The connection of one request, which another thread may cut at any time."""

    def __init__(self) -> None:
        self.is_watched = False
        """Whether a connection that reports here was made at all."""
        self.is_open = False
        """Whether the connection ever stood, TLS included: from then on bytes may have left."""
        self.is_cut = False
        self._socket: socket.socket | None = None

    def attach(self, connected: socket.socket) -> None:
        self.is_open = True
        self._socket = connected
        connected.settimeout(SEND_TIMEOUT_SECONDS)
        if self.is_cut:
            self.cut()

    def cut(self) -> None:
        """Wake whoever reads or writes, with an error or the end. May be called twice."""
        self.is_cut = True
        if self._socket is not None:
            with suppress(OSError):
                # Not the TLS socket's own method, which pulls the cipher from under the reader.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def set_timeout(self, seconds: float) -> None:
        """Let further reads wait no longer than this."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.settimeout(seconds)


class OneConnection(HTTPAdapter):
    """An adapter whose only connection reports to a `Line`.

    A create never reuses a connection: on one that the remote has just closed, nobody can tell
    whether it was read.
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        super().__init__(pool_connections=1, pool_maxsize=1)

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **options)
        pool.ConnectionCls = partial(_watched(pool.ConnectionCls), line=self._line)
        return pool


class _NoNetrcAuth(AuthBase):
    """Present only so that requests looks for none in a netrc file."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def new_session(credentials: Credentials, adapter: HTTPAdapter) -> requests.Session:
    """Return a session that sends the keys with every request. Not for use by two threads."""
    session = requests.Session()
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.auth = _NoNetrcAuth()
    session.headers.update(
        {
            "User-Agent": "creatify-textgen",
            # Compressed streams come in lumps, and small answers can unpack to large ones.
            "Accept-Encoding": "identity",
            "X-API-ID": credentials.api_id,
            "X-API-KEY": credentials.api_key,
        }
    )
    return session


@contextmanager
def deadline(line: Line, seconds: float) -> Iterator[None]:
    """Cut the line after so many seconds, however slowly and steadily it drips."""
    timer = threading.Timer(seconds, line.cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def attempt(action: Callable[[], T], *, line: Line) -> T:
    """Run what uses the line. Raises: only errors of ours, free of the foreign ones' frames."""
    failure: Exception
    try:
        return action()
    except TextgenError as error:
        failure = error.with_traceback(None)
    except _FOREIGN as error:
        failure = _translate(error, line=line)
    except Exception as error:  # noqa: BLE001  a bug of ours or theirs; raised again below
        failure = _bare(error)
    raise failure


def read_blocks(
    response: requests.Response, *, line: Line, seconds: float | None = None
) -> Iterator[bytes]:
    """Yield an answer's body as it arrives, for `seconds` at most.

    Raises: `RemoteUnavailableError` where it breaks off or takes longer.
    """
    until = None if seconds is None else time.monotonic() + seconds
    read = partial(response.raw.read1, _BLOCK_BYTES, decode_content=True)
    while block := attempt(read, line=line):
        yield block
        if until is not None and time.monotonic() > until:
            raise RemoteUnavailableError(f"The remote's answer took longer than {seconds:.0f} s.")
    if line.is_cut:
        raise _translate(OSError(), line=line)


def read_whole(blocks: Iterator[bytes], *, cap: int) -> bytes:
    """Return the blocks as one. Raises: `ContractError` above the cap."""
    pieces = []
    size = 0
    for block in blocks:
        size += len(block)
        if size > cap:
            raise ContractError(f"The remote's answer is above {cap} bytes.")
        pieces.append(block)
    return b"".join(pieces)


@cache
def _watched(base: type[Any]) -> Callable[..., Any]:
    class WatchedConnection(base):
        def __init__(self, *args: Any, line: Line, **options: Any) -> None:
            super().__init__(*args, **options)
            self._line = line
            line.is_watched = True

        def connect(self) -> None:
            super().connect()
            self._line.attach(self.sock)

    return WatchedConnection


def _translate(error: Exception, *, line: Line) -> RemoteUnavailableError:
    reason = _innermost(error)
    was_sent = line.is_open or not (line.is_watched or isinstance(reason, _NEVER_SENT))
    if line.is_cut:
        what = "The remote's answer was not complete in time"
    elif not was_sent:
        what = "The remote cannot be reached; nothing was sent"
    elif isinstance(reason, requests.Timeout | urllib3_errors.TimeoutError | TimeoutError):
        what = "The remote did not answer in time"
    else:
        what = "The connection to the remote broke off"
    # Only the type: messages of requests may quote the request.
    return RemoteUnavailableError(f"{what} ({type(reason).__name__}).", request_sent=was_sent)


def _bare(error: Exception) -> Exception:
    """Return the error without frames and causes, and with a note of where it was raised."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    error.add_note(f"Raised in {place.filename}:{place.lineno}, whose frames hold the keys.")
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _innermost(error: BaseException) -> BaseException:
    """Return what requests and urllib3 have wrapped, for instance a NameResolutionError."""
    while True:
        wrapped = (getattr(error, "reason", None), *error.args)
        inner = next((value for value in wrapped if isinstance(value, Exception)), None)
        if inner is None:
            return error
        error = inner
