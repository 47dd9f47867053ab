"""HTTP without what `requests` and `http.client` add to it: one request, and the answer to it.

Invariant: whatever the remote writes into a head, it raises no error but that of a broken
connection, causes no further request, and is not sent back.
"""

from __future__ import annotations

from http.client import HTTPResponse, parse_headers
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

__all__ = ["FinalAnswer", "PlainSession", "is_on_this_machine"]

_INFORMATION = range(100, 200)
# Final for HTTP: after it the connection speaks another protocol (RFC 9110, 15.2.2).
_SWITCHING = 101


class FinalAnswer(HTTPResponse):
    """Passes over interim answers, such as 103 (RFC 9110, 15.2). `http.client` knows only 100."""

    def _read_status(self) -> tuple[str, int, str]:
        # The deadline of the call ends a stream of interim answers.
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status not in _INFORMATION or status == _SWITCHING:
                return version, status, reason
            parse_headers(self.fp)


class PlainSession(requests.Session):
    """A session that looks at no `Location` and keeps no cookie.

    `requests` computes where a redirect leads even if it is not followed: it reads the whole body
    for that, and raises other errors for a URL that it cannot read.
    """

    def __init__(self) -> None:
        super().__init__()
        self.auth = _NoNetrcAuth()
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        self._environment: Any = None
        self._first_get: requests.PreparedRequest | None = None

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """Prepare a GET as the first one of this session, from which only its URL differs."""
        if request.method != "GET":
            return super().prepare_request(request)
        if self._first_get is None:
            self._first_get = super().prepare_request(request)
        prepared = self._first_get.copy()
        prepared.prepare_url(str(request.url), None)
        return prepared

    def merge_environment_settings(self, url: str, *given: Any) -> Any:  # type: ignore[override]
        """Return what the environment says of proxies and certificates, as it was at first.

        Reading it takes 0.15 ms of CPU time. A session calls one origin only.
        """
        if self._environment is None:
            self._environment = super().merge_environment_settings(url, *given)
            # A proxy on another machine cannot reach this one, and would receive the keys.
            if is_on_this_machine(url):
                self._environment["proxies"] = {}
        return self._environment

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None: no answer is a redirect."""


def is_on_this_machine(url: str) -> bool:
    """Whether calls of this URL certainly stay on this machine."""
    # No name is looked up, because it may lead to another machine at the next call.
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _NoNetrcAuth(AuthBase):
    """Adds nothing. Without an auth object, requests would read one from a netrc file."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request
