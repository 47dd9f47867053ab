"""One request and its answer: sent once, checked, and read within limits.

Invariant: only our errors are raised from here, and none contains a key or the webhook URL.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import requests

from creatify_textgen.exceptions import ContractError, RemoteError
from creatify_textgen.remote import protocol, refusals, transport
from creatify_textgen.remote.acceptance import accepted_id
from creatify_textgen.remote.body import JsonBody
from creatify_textgen.remote.contract import Credentials, RemoteClock, RemoteGeneration
from creatify_textgen.remote.media_echo import without_media
from creatify_textgen.remote.redaction import of_answers, secrets_of, without_secrets

_LONGEST_ERROR_BYTES = 1024 * 1024
"""It may be a generation, whose status follows the request that it repeats."""
# The id is the first field of a generation (section 4).
_BEGIN_BYTES = 1024
_JSON_HEADERS = {"Accept": "application/json"}
_POST_HEADERS = {
    "Accept": "application/json, text/event-stream",
    "Content-Type": "application/json",
    # No other call uses the connection of a POST, see `RemoteClient._own_session`.
    "Connection": "close",
}

T = TypeVar("T")


class Exchange:
    """One request on a session, within the time of its `WatchedSocket`."""

    def __init__(
        self,
        session: requests.Session,
        credentials: Credentials,
        *,
        line: transport.WatchedSocket,
        webhook_url: str = "",
    ) -> None:
        self._session = session
        self.line = line
        self.secrets = secrets_of(credentials, webhook_url=webhook_url)
        """Replaced in everything that the remote sends, so they reach no row and no error."""
        self.clock: RemoteClock | None = None
        """The remote's time in the answer; None before it, or if it has no readable `Date`."""

    def get(self, url: str) -> requests.Response:
        """Return the answer with its body unread. Raise our error for any status but 2xx."""
        return self._send("GET", url, headers=_JSON_HEADERS)

    def post(self, url: str, body: JsonBody) -> requests.Response:
        """Return the answer as `get` does. The connection is not offered for reuse."""
        return self._send("POST", url, headers=_POST_HEADERS, body=body)

    def read(
        self,
        response: requests.Response,
        parse: Callable[[bytes], T],
        *,
        cap: int,
    ) -> T:
        """Read the body, without echoed media, and return what `parse` makes of it.

        Raises: `RemoteUnavailableError` if it breaks off or the time is up; `ContractError` if it
        is larger than `cap` or `parse` cannot read it.
        """
        answer = self._answer(response, parse, cap=cap)
        # Raised here, where no variable has the body: it may contain our keys, and an error
        # report shows variables.
        if isinstance(answer, RemoteError):
            raise answer
        return answer

    def parse_generation(self, answer: bytes | Mapping[str, Any]) -> RemoteGeneration:
        """Return the generation that an answer describes, with our secrets replaced in its result.

        Raises: `ContractError`.
        """
        found = protocol.parse_generation(answer)
        return without_secrets(found, secrets=of_answers(self.secrets))

    def blocks(self, response: requests.Response) -> Iterator[bytes]:
        """Yield the body as it arrives, without echoed media."""
        return without_media(transport.read_blocks(response, line=self.line))

    def _send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: JsonBody | None = None,
    ) -> requests.Response:
        send = partial(
            self._session.request,
            method,
            url,
            data=body,
            headers=headers,
            timeout=(self.line.connect, self.line.wait),
            allow_redirects=False,
            stream=True,
        )
        asked_at = time.monotonic()
        response = transport.attempt(send, line=self.line)
        self.clock = _read_clock(response.headers, asked_at=asked_at)
        if 200 <= response.status_code < 300:
            return response
        with closing(response):
            error = self._read_refusal(response)
        raise error

    def _answer(
        self, response: requests.Response, parse: Callable[[bytes], T], *, cap: int
    ) -> T | RemoteError:
        begin = bytearray()
        try:
            body = transport.read_whole(_noted(self.blocks(response), begin), cap=cap)
        except RemoteError as error:
            # A generation begins with its id, which may have arrived before that.
            error.accepted_as = accepted_id(bytes(begin), response.headers, url=response.url)
            return error.with_traceback(None)
        return self._parse(body, response, parse)

    def _parse(
        self, body: bytes, response: requests.Response, parse: Callable[[bytes], T]
    ) -> T | ContractError:
        try:
            return parse(body)
        except ContractError as error:
            reason = str(error)
        # A new error, because the frames of the first one have the body.
        return ContractError(
            reason,
            status=response.status_code,
            excerpt=refusals.excerpt_of(body, secrets=self.secrets),
            reason=refusals.reason_of(body, secrets=self.secrets),
            accepted_as=accepted_id(body, response.headers, url=response.url),
        )

    def _read_refusal(self, response: requests.Response) -> RemoteError:
        return refusals.parse_error(
            response.status_code,
            response.headers,
            self._read_words(response),
            url=response.url,
            secrets=self.secrets,
            # For a date in `Retry-After`, if the answer itself has no `Date`.
            now=datetime.now(UTC),
        )

    def _read_words(self, response: requests.Response) -> bytes:
        """Return the beginning of an error's body. If it breaks off, the status is enough."""
        words = bytearray()
        try:
            for block in self.blocks(response):
                words += block
                if len(words) > _LONGEST_ERROR_BYTES:
                    break
        except RemoteError:
            pass
        return bytes(words)


def _noted(blocks: Iterator[bytes], begin: bytearray) -> Iterator[bytes]:
    for block in blocks:
        begin += block[: max(0, _BEGIN_BYTES - len(begin))]
        yield block


def _read_clock(headers: Mapping[str, str], *, asked_at: float) -> RemoteClock | None:
    served_at = refusals.parse_http_date(headers.get("date") or "")
    if served_at is None:
        return None
    return RemoteClock(served_at, asked_at, time.monotonic())
