"""One request and its answer: sent once, checked, read within bounds.

Invariant: what is raised from here is one of our errors, with neither key nor webhook URL in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar
from urllib.parse import urlsplit

import requests

from creatify_textgen.exceptions import ContractError, RemoteError
from creatify_textgen.remote import refusals, transport
from creatify_textgen.remote.body import JsonBody
from creatify_textgen.remote.contract import Credentials
from creatify_textgen.remote.media_echo import without_media

_LONGEST_ERROR_BYTES = 64 * 1024
_JSON_HEADERS = {"Accept": "application/json"}
_POST_HEADERS = {
    "Accept": "application/json, text/event-stream",
    "Content-Type": "application/json",
    "Connection": "close",
}

T = TypeVar("T")


class Exchange:
    """One use of a session. `connect` and `wait` are seconds, the latter between two pieces."""

    def __init__(
        self,
        session: requests.Session,
        credentials: Credentials,
        *,
        line: transport.Line,
        connect: float,
        wait: float,
        webhook_url: str = "",
    ) -> None:
        self._session = session
        self._line = line
        self._timeout = (connect, wait)
        path = urlsplit(webhook_url).path.strip("/")
        self._secrets = (
            webhook_url,
            path,
            # The token by itself.
            path.rpartition("/")[2],
            credentials.api_id,
            credentials.api_key,
        )

    def get(self, url: str) -> requests.Response:
        """Return the answer, its body unread; raise the error that it is if it is no success."""
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
        seconds: float | None = None,
    ) -> T:
        """Return what `parse` makes of the body, which is read whole but for echoed media.

        Raises: `RemoteUnavailableError` where it breaks off or takes longer than `seconds`,
        `ContractError` where it is above the cap or `parse` cannot read it.
        """
        blocks = self.blocks(response, seconds=seconds)
        answer = self._parse(transport.read_whole(blocks, cap=cap), response, parse)
        # Raised where no frame holds the body, which may be an echo of our keys.
        if isinstance(answer, ContractError):
            raise answer
        return answer

    def blocks(
        self, response: requests.Response, *, seconds: float | None = None
    ) -> Iterator[bytes]:
        """Yield the body as it arrives, without echoed media."""
        return without_media(transport.read_blocks(response, line=self._line, seconds=seconds))

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
            timeout=self._timeout,
            allow_redirects=False,
            stream=True,
        )
        response = transport.attempt(send, line=self._line)
        if 200 <= response.status_code < 300:
            return response
        with closing(response):
            error = self._read_refusal(response)
        raise error

    def _parse(
        self, body: bytes, response: requests.Response, parse: Callable[[bytes], T]
    ) -> T | ContractError:
        try:
            return parse(body)
        except ContractError as error:
            reason = str(error)
        excerpt = refusals.excerpt_of(body, secrets=self._secrets)
        return ContractError(reason, status=response.status_code, excerpt=excerpt)

    def _read_refusal(self, response: requests.Response) -> RemoteError:
        return refusals.parse_error(
            response.status_code,
            response.headers,
            self._read_words(response),
            secrets=self._secrets,
            now=datetime.now(UTC),
        )

    def _read_words(self, response: requests.Response) -> bytes:
        """Return the start of an error's body; its status alone will do if that breaks off."""
        words = bytearray()
        try:
            for block in transport.read_blocks(response, line=self._line, seconds=self._timeout[1]):
                words += block
                if len(words) > _LONGEST_ERROR_BYTES:
                    break
        except RemoteError:
            pass
        return bytes(words)
