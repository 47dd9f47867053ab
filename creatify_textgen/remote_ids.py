"""The forms of an id that the remote gives to a generation.

A UUID is one id however it is written (RFC 9562, 4). Rows are compared by one form, and the URLs of
the remote get the form in which it wrote the id.
"""

from __future__ import annotations

import re
from typing import Any

MAX_LENGTH = 64
"""The remote's ids are UUIDs; anything else is accepted up to this length."""

# Neither a slash nor a percent sign, because an id becomes a part of a URL's path.
_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.:-]{{0,{MAX_LENGTH - 1}}}")
# As Python's `uuid` reads them: with or without hyphens, in braces, as a URN.
_UUID = re.compile(
    r"(?:urn:)?(?:uuid:)?(\{)?([0-9a-f]{8})"
    r"-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})(?(1)\})",
    re.IGNORECASE,
)


def identifier(value: Any) -> str | None:
    """Return the id in the form in which ids are compared and saved, or None if it can be none.

    A UUID has small letters and hyphens there.
    """
    sent = sent_identifier(value)
    found = _UUID.fullmatch(sent or "")
    return "-".join(found.groups()[1:]).lower() if found else sent


def sent_identifier(value: Any) -> str | None:
    """Return the id as the remote writes it, for its URLs, or None if it can be none."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if 0 <= value < 10**MAX_LENGTH else ""
    is_one = isinstance(value, str) and (_ID.fullmatch(value) or _UUID.fullmatch(value))
    return value if is_one else None


def is_uuid(remote_id: str) -> bool:
    """Whether the id has the form of the remote's ids (contract, 2.1), however it is written."""
    return _UUID.fullmatch(remote_id) is not None


def other_form(value: Any) -> str:
    """Return the id as the remote writes it, or "" if that is the form of `identifier`."""
    sent = sent_identifier(value) or ""
    return sent if sent != identifier(value) else ""
