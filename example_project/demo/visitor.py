"""A logged-in user of the site: does in Python what a front end does, over HTTP only.

Knows only the site's REST API.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import requests
import sseclient

__all__ = ["Answer", "Frame", "Trouble", "Visitor"]

SECONDS = 180
"""Longer than the site waits for a synchronous answer."""
FINAL = ("done", "failed", "cancelled")
POLL_SECONDS = 0.1


class Trouble(Exception):  # noqa: N818  # a message for people
    """The site did not do what the tour asked for."""


class Answer(NamedTuple):
    status: int
    body: dict[str, Any]


class Frame(NamedTuple):
    """One event of a stream."""

    event: str
    """`message` for a chunk, otherwise `error` or `end`."""
    data: dict[str, Any]


class Visitor:
    """A session with the site. Call `close` at the end."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._api = f"{origin}/textgen/"
        self._session = requests.Session()
        # A proxy in the environment must not be used for this machine.
        self._session.trust_env = False

    def log_in(self, name: str, password: str) -> None:
        """Log in with the admin's form. Raises: Trouble."""
        url = f"{self._origin}/admin/login/"
        self._session.get(url, timeout=SECONDS).raise_for_status()
        form = {"username": name, "password": password, "next": "/"}
        form["csrfmiddlewaretoken"] = self._session.cookies["csrftoken"]
        answer = self._session.post(url, form, timeout=SECONDS, allow_redirects=False)
        if answer.status_code != 302:
            raise Trouble(f"The login failed with status {answer.status_code}.")

    def get(self, path: str) -> dict[str, Any]:
        """Return the JSON at a path of the API. Raises: Trouble."""
        answer = self._session.get(self._api + path, timeout=SECONDS)
        return self._read(answer).body

    def post(self, path: str, body: Any = None) -> Answer:
        """Post JSON to a path of the API. Raises: Trouble if it is refused."""
        headers = self._unforgeable()
        answer = self._session.post(self._api + path, json=body, headers=headers, timeout=SECONDS)
        return self._read(answer)

    def upload(self, file: Path, mime_type: str) -> Answer:
        """Upload an image or a video. Raises: Trouble if it is refused."""
        with file.open("rb") as content:
            form = {"file": (file.name, content, mime_type)}
            url = f"{self._api}media/"
            headers = self._unforgeable()
            answer = self._session.post(url, files=form, headers=headers, timeout=SECONDS)
        return self._read(answer)

    def watch(self, generation: dict[str, Any], *, seconds: float) -> Iterator[dict[str, Any]]:
        """Yield a generation now, and after each change of its status, until it is final.

        Raises: Trouble if it takes too long.
        """
        deadline = time.monotonic() + seconds
        yield generation
        while (seen := generation["status"]) not in FINAL:
            time.sleep(POLL_SECONDS)
            generation = self.get(f"generations/{generation['id']}/")
            if generation["status"] != seen:
                yield generation
            elif time.monotonic() > deadline:
                raise Trouble(f"It is still {seen} after {seconds:.0f} seconds.")

    def await_run(self, run: dict[str, Any], *, seconds: float) -> dict[str, Any]:
        """Return a run once it has ended or waits for a person. Raises: Trouble if it is late."""
        deadline = time.monotonic() + seconds
        while run["state"] == "running":
            if time.monotonic() > deadline:
                raise Trouble(f"The run still goes on after {seconds:.0f} seconds.")
            time.sleep(POLL_SECONDS)
            run = self.get(f"runs/{run['id']}/")
        return run

    def stream(self, body: dict[str, Any]) -> Iterator[Frame]:
        """Post to the stream endpoint and yield its frames as they arrive. Raises: Trouble."""
        url = f"{self._api}generations/stream/"
        headers = {**self._unforgeable(), "Accept": "text/event-stream"}
        with self._session.post(
            url, json=body, headers=headers, timeout=SECONDS, stream=True
        ) as answer:
            if answer.status_code != 200:
                self._read(answer)
            for event in sseclient.SSEClient(answer.iter_content(None)).events():
                yield Frame(event.event, json.loads(event.data))

    def close(self) -> None:
        self._session.close()

    def _unforgeable(self) -> dict[str, str]:
        return {"X-CSRFToken": self._session.cookies["csrftoken"], "Referer": self._origin}

    def _read(self, answer: requests.Response) -> Answer:
        try:
            body = answer.json()
        except ValueError:
            raise Trouble(f"{answer.status_code} with {answer.text[:200]!r}") from None
        if not answer.ok:
            raise Trouble(f"{answer.status_code}: {body.get('error', body)}")
        return Answer(answer.status_code, body)
