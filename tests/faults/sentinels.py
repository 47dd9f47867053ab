"""A site whose every secret is a word that can be searched for, and how to search.

Keys and tokens may stand nowhere but on the wire; a prompt in rows and on the wire.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.test import Client

from creatify_textgen import services
from creatify_textgen.dispatch.callbacks import make_token
from creatify_textgen.models import Generation
from tests.integration.remote.server import Connection, serving

__all__ = [
    "ACCOUNT",
    "API_ID",
    "API_KEY",
    "GENERATIONS",
    "PROMPT",
    "BugError",
    "assert_free_of_secrets",
    "echoing_remote",
    "listening_to_everything",
    "point_to",
    "post",
    "raise_bug",
    "read",
    "submit_and_send",
]

API_ID = "sentinel-id-5d0c"
API_KEY = "sentinel-key-9b2e"
PROMPT = "sentinel-prompt-77aa"
ACCOUNT = {"API_ID": API_ID, "API_KEY": API_KEY}
GENERATIONS = "/textgen/generations/"


class BugError(Exception):
    """What nobody expected. Its text is harmless; the frames behind it need not be."""


def raise_bug(*args: Any, **kwargs: Any) -> Any:
    raise BugError("a bug")


def point_to(url: str, *, settings: Any, **more: Any) -> None:
    """Have the site's account lead there; nobody listens at the webhook URLs that are sent."""
    settings.CREATIFY_TEXTGEN = {
        "ACCOUNTS": {"default": {**ACCOUNT, "BASE_URL": url}},
        "WEBHOOK_BASE_URL": "http://127.0.0.1:9",
        "POLL_INTERVAL": 0.01,
        **more,
    }


def post(client: Client, url: str = GENERATIONS, **fields: Any) -> Any:
    """Ask for the sentinel prompt."""
    body = {"messages": [{"role": "user", "content": PROMPT}], **fields}
    return client.post(url, json.dumps(body), content_type="application/json")


def read(response: Any) -> str:
    """Return all that an answer says, headers too."""
    content = b"".join(response) if response.streaming else response.content
    return f"{dict(response.headers)} {content.decode('utf-8', 'replace')}"


def submit_and_send() -> Generation:
    generation = services.submit(PROMPT)
    services.send_generation(generation.pk)
    generation.refresh_from_db()
    return generation


@contextmanager
def echoing_remote(status: int, *, settings: Any) -> Iterator[None]:
    """Have a remote, or a proxy before it, that writes back all that it was sent."""

    def echo(connection: Connection) -> None:
        received = server.requests[-1]
        url = json.loads(received.body or "{}").get("webhook_url", "")
        words = f"{received.headers} {url.rstrip('/').rpartition('/')[2]}\n{received.body!r}"
        place = f"http://127.0.0.1:9/{API_KEY}/?id={API_ID}"
        connection.answer(status, json.dumps({"error": words}), Location=place)

    with serving(echo) as server:
        point_to(server.url, settings=settings)
        yield


class _Everything(logging.Handler):
    """Keeps each record as any handler could have written it: text, stack and extra fields."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.received: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.received.append(logging.Formatter("%(name)s %(message)s").format(record))
        self.received.append(repr(vars(record)))


@contextmanager
def listening_to_everything() -> Iterator[list[str]]:
    """Give what the whole tree of loggers says, at every level, while the block runs."""
    handler = _Everything()
    loggers = [logging.getLogger(), *map(logging.getLogger, list(logging.root.manager.loggerDict))]
    before = [(one, one.level, one.propagate, one.disabled) for one in loggers]
    for one in loggers:
        one.setLevel(1)
        one.propagate, one.disabled = True, False
    loggers[0].addHandler(handler)
    try:
        yield handler.received
    finally:
        loggers[0].removeHandler(handler)
        for one, level, propagate, disabled in before:
            one.setLevel(level)
            one.propagate, one.disabled = propagate, disabled


def assert_free_of_secrets(*texts: str, prompt_is_fine: bool = False) -> None:
    """Refuse keys, the tokens of all rows there are and, unless that is fine, the prompt."""
    tokens = [make_token(key) for key in Generation.objects.values_list("pk", flat=True)]
    secrets = [API_ID, API_KEY, *tokens, *([] if prompt_is_fine else [PROMPT])]
    for text in texts:
        for secret in secrets:
            at = text.find(secret)
            assert at < 0, f"{secret} in …{text[max(0, at - 300) : at + 100]}…"
