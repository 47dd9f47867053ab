"""Turns an answer that is an error, with any status and body, into one of our exceptions.

Pure. Invariant: the exception contains no key and no webhook URL, and the remote's own text only
in `excerpt` and `words` (sections 2.2, 2.3, 11).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from creatify_textgen.exceptions import (
    ContractError,
    RateLimitedError,
    RemoteError,
    RemoteRejectedError,
    RemoteUnavailableError,
)
from creatify_textgen.remote import wire
from creatify_textgen.remote.acceptance import accepted_id, words_beside_echo
from creatify_textgen.remote.charsets import decoded
from creatify_textgen.remote.redaction import redacted

EXCERPT_LENGTH = 500
# A hostile error page may be long. A key that this limit cuts in two is still redacted below.
_READ_BYTES = 16 * 1024
_CREDITS = re.compile(r"\bcredits?\b", re.IGNORECASE)
_SIGNATURE = re.compile(r"thought[_ ]?signature", re.IGNORECASE)
_CALL_ID = re.compile(r"function[_ ]?(call|response)s?\b.*\bids?\b", re.IGNORECASE | re.DOTALL)
_MARKUP = re.compile(r"\s*<")
_TELLING = ("error", "detail", "message", "non_field_errors")
"""The keys that name the reason in the forms of section 2.3."""

# 402 is probable for missing credits; 400 and 403 are possible, too (section 11, row 1).
_REJECTIONS = {401: "authentication", 402: "insufficient_credits", 403: "authentication"}
_MEANINGS = {
    "authentication": "The API credentials were refused; check the account's id and key",
    "insufficient_credits": "The workspace has no credits left",
    "not_found": "No such generation in this workspace",
    "invalid_request": "The request was refused as invalid",
    "missing_thought_signature": "A function call was refused for its thought signature",
    "missing_call_id": "The result of a function was refused for the id of its call",
}
CALL_REFUSALS = frozenset({"missing_thought_signature", "missing_call_id"})
"""The model wants a field that the remote does not pass on, or the remote refuses the field."""


def parse_error(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    url: str = "",
    secrets: Iterable[str] = (),
    now: datetime | None = None,
) -> RemoteError:
    """Return the error for an answer other than 2xx; the caller raises it.

    `url` was asked. `headers` is case-insensitive or has lower-case names. A date in `Retry-After`
    is compared with the answer's `Date`, or with `now` if there is none.
    """
    secrets = tuple(secrets)
    wording = _Wording(decoded(body))
    answer: dict[str, Any] = {
        "status": status,
        "excerpt": excerpt_of(body, secrets=secrets),
        "reason": redacted(wording.reason, secrets=secrets)[:EXCERPT_LENGTH],
        "accepted_as": accepted_id(body, headers, url=url),
    }
    if 300 <= status < 400:
        return _redirect_error(headers, answer, secrets)
    if status == 429:
        wait = parse_retry_after(headers, now=now)
        message = "The remote is busy with us (429)."
        return RateLimitedError(message, retry_after=wait, **answer)
    if _is_unavailable(status, wording):
        wait = parse_retry_after(headers, now=now)
        message = f"The remote is unavailable ({status})."
        return RemoteUnavailableError(message, retry_after=wait, **answer)
    if not 400 <= status < 500:
        return ContractError(f"The remote answered with {status}.", **answer)
    code = _rejection_code(status, wording)
    return RemoteRejectedError(f"{_MEANINGS[code]} ({status}).", code=code, **answer)


def excerpt_of(body: bytes, *, secrets: Iterable[str]) -> str:
    """Return the first 500 characters of a body, its secrets replaced."""
    words = wire.text(decoded(body[:_READ_BYTES])).strip()
    return redacted(words, secrets=secrets)[:EXCERPT_LENGTH]


def reason_of(body: bytes, *, secrets: Iterable[str]) -> str:
    """Return the reason in a body, in the remote's own words; empty for an HTML page."""
    words = _Wording(decoded(body)).reason
    return redacted(words, secrets=secrets)[:EXCERPT_LENGTH]


def parse_retry_after(headers: Mapping[str, str], *, now: datetime | None) -> float | None:
    """Return the seconds of a `Retry-After`, given as seconds or as a date (RFC 9110, 10.2.3)."""
    value = (headers.get("retry-after") or "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value):
        return float(value)
    until = parse_http_date(value)
    # If possible by the remote's clock: the difference to ours may be larger than the wait.
    since = parse_http_date(headers.get("date") or "") or now
    if until is None or since is None:
        return None
    return max(0.0, (until - since).total_seconds())


def parse_http_date(value: str) -> datetime | None:
    """Return the time in a header such as `Date`, in UTC; None if it is not a time with a zone."""
    try:
        moment = parsedate_to_datetime(value)
        # At either end of the calendar, UTC may be outside of it.
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


class _Wording:
    """The text of an error's body, in any of the forms of section 2.3."""

    def __init__(self, raw: str) -> None:
        try:
            value = wire.load(raw)
        except ValueError:
            value = wire.text(raw[:_READ_BYTES]).strip()
        # The keys of the remote's own errors: `error` of /sse/ and `detail` of /api/ (section 2.3).
        self.is_own_json = isinstance(value, dict) and bool({"error", "detail"} & value.keys())
        """Whether the remote itself wrote it, and not a router or a proxy in front of it."""
        markup = isinstance(value, str) and _MARKUP.match(value)
        self.reason = "" if markup else _sentences_of(value)[:_READ_BYTES]
        """What is wrong, without the JSON around it; empty for a page of a proxy."""
        said = () if markup else words_beside_echo(value)
        self.mentions_credits = any(map(_CREDITS.search, said))


def _sentences_of(value: Any, *, levels: int = 4) -> str:
    """Return the sentences of an error's body: `No. Such. model_name: Unknown.`"""
    if isinstance(value, str):
        return wire.text(value).strip()
    if not levels or isinstance(value, bool) or value is None:
        return ""
    if isinstance(value, list):
        return " ".join(filter(None, (_sentences_of(item, levels=levels - 1) for item in value)))
    if not isinstance(value, dict):
        return str(value)
    for name in _TELLING:
        if words := _sentences_of(value.get(name), levels=levels - 1):
            return words
    found = {name: _sentences_of(item, levels=levels - 1) for name, item in value.items()}
    return " ".join(f"{wire.text(name)}: {words}" for name, words in found.items() if words)


def _is_unavailable(status: int, wording: _Wording) -> bool:
    # 408: a server or proxy stopped waiting for our body, so we do not know what arrived. A 404 in
    # plain text or HTML is from a router or a proxy, and proves nothing (section 4.3).
    return status >= 500 or status == 408 or (status == 404 and not wording.is_own_json)


def _rejection_code(status: int, wording: _Wording) -> str:
    if status in (400, 403) and wording.mentions_credits:
        return "insufficient_credits"
    if status == 404:
        return "not_found"
    if status == 400 and _SIGNATURE.search(wording.reason):
        return "missing_thought_signature"
    if status == 400 and _CALL_ID.search(wording.reason):
        return "missing_call_id"
    return _REJECTIONS.get(status, "invalid_request")


def _redirect_error(
    headers: Mapping[str, str], answer: dict[str, Any], secrets: Iterable[str]
) -> ContractError:
    target = _place(headers.get("location") or "")
    place = redacted(target, secrets=secrets) or "nowhere"
    return ContractError(
        f"The remote redirects ({answer['status']}) to {place}; redirects are not followed, as "
        "they would take the keys along. Check the base URL.",
        **answer,
    )


def _place(location: str) -> str:
    try:
        parts = urlsplit(wire.text(location))
    except ValueError:
        return ""
    host = parts.netloc.rpartition("@")[2]
    return (f"{parts.scheme}://{host}{parts.path}" if host else parts.path)[:200]
