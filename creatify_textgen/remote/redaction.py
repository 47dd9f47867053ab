"""Removes our secrets from what the remote sends.

Pure. A remote, or a proxy, may echo the headers of a request in an error, and a model may repeat
them in an answer. Invariant: no key and no webhook URL gets into a row or to a reader. A key that a
stream cuts in two is for `split_secrets`. Echoed requests are not changed, because a row is
recognized by them; they are not saved.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any
from urllib.parse import quote, urlsplit

from creatify_textgen.remote.contract import Credentials, RemoteGeneration

REDACTED = "[redacted]"
# Any path of a webhook: an answer to a poll may quote one, and only a send knows its whole URL.
_WEBHOOK_TOKEN = re.compile(r"(webhooks\\?/[0-9a-f-]{36}\\?/)[0-9a-f]{32}")
# A shorter text in a normal answer is more likely a word than a key.
SHORTEST_IN_ANSWERS = 8
# Newer Pythons read JSON of thousands of levels, and then fail to walk through it. No row has as
# many: deeper arguments are kept as text.
MOST_LEVELS = 200


def redacted(words: str, *, secrets: Iterable[str]) -> str:
    """Return the text with every secret replaced, also as JSON, HTML and URLs write it."""
    for written in written_forms(tuple(secrets)) if words else ():
        words = words.replace(written, REDACTED)
    return _WEBHOOK_TOKEN.sub(rf"\1{REDACTED}", words)


@lru_cache(maxsize=32)
def written_forms(secrets: tuple[str, ...]) -> tuple[str, ...]:
    """Return how these are written in plain text, JSON, HTML and URLs, the longest first."""
    forms: set[str] = set()
    for secret in filter(None, secrets):
        forms |= {secret, quote(secret, safe=""), quote(secret), html.escape(secret)}
    forms |= {form.replace("/", "\\/") for form in forms}
    return tuple(sorted(forms, key=len, reverse=True))


def secrets_of(credentials: Credentials, *, webhook_url: str = "") -> tuple[str, ...]:
    """Return what must not come back from the remote into a row or an error."""
    path = urlsplit(webhook_url).path.strip("/")
    # The token by itself, too.
    own = (webhook_url, path, path.rpartition("/")[2])
    return (*own, credentials.api_id, credentials.api_key)


def of_answers(secrets: Iterable[str]) -> tuple[str, ...]:
    """Return the secrets that are long enough to be replaced in normal answers."""
    return tuple(secret for secret in secrets if len(secret) >= SHORTEST_IN_ANSWERS)


def without_secrets(remote: RemoteGeneration, *, secrets: tuple[str, ...]) -> RemoteGeneration:
    """Return the generation with each secret in its result and its reason replaced."""
    result = {
        "response_text": remote.response_text,
        "response_function_calls": remote.response_function_calls,
        "failed_reason": remote.failed_reason,
    }
    clean = {name: redacted_value(value, secrets=secrets) for name, value in result.items()}
    return remote if clean == result else replace(remote, **clean)


def redacted_value(value: Any, *, secrets: tuple[str, ...], levels: int = MOST_LEVELS) -> Any:
    """Return a JSON value with every secret in its strings replaced, and what is deeper than
    `levels` altogether."""
    if isinstance(value, str):
        return redacted(value, secrets=secrets)
    if isinstance(value, list | dict) and not levels:
        return REDACTED
    clean = partial(redacted_value, secrets=secrets, levels=levels - 1)
    if isinstance(value, list):
        return [clean(item) for item in value]
    if isinstance(value, dict):
        return {redacted(name, secrets=secrets): clean(item) for name, item in value.items()}
    return value
