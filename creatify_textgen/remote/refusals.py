"""Answers that are errors: any status and any body to the one exception it means.

Pure. Invariant: neither key nor webhook URL of the request gets into what is raised, and what the
remote wrote only into `excerpt` (sections 2.2, 2.3, 11).
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote, urlsplit

from creatify_textgen.exceptions import (
    ContractError,
    RateLimitedError,
    RemoteError,
    RemoteRejectedError,
    RemoteUnavailableError,
)
from creatify_textgen.remote import wire

EXCERPT_LENGTH = 500
# A hostile page of errors is not worth more; a key cut in two by this is still redacted below.
_READ_BYTES = 16 * 1024
_REDACTED = "[redacted]"
_CREDITS = re.compile(r"\bcredits?\b", re.IGNORECASE)
_MARKUP = re.compile(r"\s*<")

_REJECTIONS = {401: "authentication", 402: "insufficient_credits", 403: "authentication"}
_MEANINGS = {
    "authentication": "The API credentials were refused; check the account's id and key",
    "insufficient_credits": "The workspace has no credits left",
    "not_found": "No such generation in this workspace",
    "invalid_request": "The request was refused as invalid",
}


def parse_error(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    secrets: Iterable[str] = (),
    now: datetime | None = None,
) -> RemoteError:
    """Return the error that an answer other than 2xx means; it is for the caller to raise.

    `headers` is case-insensitive or has lower-case names. `now` is what a `Retry-After` date is
    measured from where the answer has no `Date` of its own.
    """
    secrets = tuple(secrets)
    wording = _Wording(wire.decoded(body[:_READ_BYTES]))
    excerpt = excerpt_of(body, secrets=secrets)
    if 300 <= status < 400:
        return _redirect_error(status, headers, excerpt, secrets)
    if status == 429:
        wait = parse_retry_after(headers, now=now)
        return RateLimitedError(
            "The remote is busy with us (429).", status=429, excerpt=excerpt, retry_after=wait
        )
    if _is_unavailable(status, wording):
        return RemoteUnavailableError(
            f"The remote is unavailable ({status}).",
            status=status,
            excerpt=excerpt,
            retry_after=parse_retry_after(headers, now=now),
        )
    if not 400 <= status < 500:
        return ContractError(f"The remote answered with {status}.", status=status, excerpt=excerpt)
    code = _rejection_code(status, wording)
    return RemoteRejectedError(
        f"{_MEANINGS[code]} ({status}).", status=status, excerpt=excerpt, code=code
    )


def excerpt_of(body: bytes, *, secrets: Iterable[str]) -> str:
    """Return the first 500 characters of a body, its secrets replaced."""
    words = wire.text(wire.decoded(body[:_READ_BYTES])).strip()
    return redacted(words, secrets=secrets)[:EXCERPT_LENGTH]


def redacted(words: str, *, secrets: Iterable[str]) -> str:
    """Return the text with every secret replaced, also as JSON, HTML and URLs write it."""
    for secret in secrets:
        for form in {secret, quote(secret, safe=""), quote(secret), html.escape(secret)}:
            for written in (form, form.replace("/", "\\/")):
                words = words.replace(written, _REDACTED) if written else words
    return words


def parse_retry_after(headers: Mapping[str, str], *, now: datetime | None) -> float | None:
    """Return the seconds of a `Retry-After`, given as seconds or as a date (RFC 9110, 10.2.3)."""
    value = (headers.get("retry-after") or "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value):
        return float(value)
    until = _http_date(value)
    # The remote's own clock, where it shows it: ours may be off by more than the wait.
    since = _http_date(headers.get("date") or "") or now
    if until is None or since is None:
        return None
    return max(0.0, (until - since).total_seconds())


class _Wording:
    """What an error's body says, in whichever of the shapes of section 2.3."""

    def __init__(self, raw: str) -> None:
        self.raw = wire.text(raw).strip()
        try:
            value = wire.load(raw)
        except ValueError:
            value = None
        self.is_own_json = isinstance(value, dict) and bool({"error", "detail"} & value.keys())
        """Whether the remote itself wrote it, rather than a router or a proxy before it."""
        markup = value is None and _MARKUP.match(raw)
        self.mentions_credits = not markup and bool(_CREDITS.search(self.raw))


def _is_unavailable(status: int, wording: _Wording) -> bool:
    # 408: whoever waited for our body gave up, so what arrived is not known. A 404 in plain text
    # or HTML comes from a router or a proxy and proves nothing about a generation (section 4.3).
    return status >= 500 or status == 408 or (status == 404 and not wording.is_own_json)


def _rejection_code(status: int, wording: _Wording) -> str:
    if status in (400, 403) and wording.mentions_credits:
        return "insufficient_credits"
    if status == 404:
        return "not_found"
    return _REJECTIONS.get(status, "invalid_request")


def _redirect_error(
    status: int, headers: Mapping[str, str], excerpt: str, secrets: Iterable[str]
) -> ContractError:
    target = _place(headers.get("location") or "")
    place = redacted(target, secrets=secrets) or "nowhere"
    return ContractError(
        f"The remote redirects ({status}) to {place}; redirects are not followed, as they would "
        "take the keys along. Check the base URL.",
        status=status,
        excerpt=excerpt,
    )


def _place(location: str) -> str:
    try:
        parts = urlsplit(wire.text(location))
    except ValueError:
        return ""
    host = parts.netloc.rpartition("@")[2]
    return (f"{parts.scheme}://{host}{parts.path}" if host else parts.path)[:200]


def _http_date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else None
