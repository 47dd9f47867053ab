"""What is known of a generation's result, in our own words. Pure values.

None means "not told": the column keeps what it has.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

__all__ = ["NOTHING_NEW", "Outcome"]

_ROW = (
    "remote_id",
    "credits_used",
    "error_code",
    "finish_reason",
    "model_version",
    "partial",
)
_JSON = ("response_function_calls", "usage", "citations")
_CONTENT = (
    "response_text",
    "response_thoughts",
    "response_function_calls",
    "failed_reason",
    "usage",
    "citations",
)

LONGEST_REASON = 10_000
"""Characters kept of a `failed_reason`, which may be a whole page that a remote sent: the write
that gives up an answer must not fail for its reason."""
_CUT = " [cut]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A result, whole or in part, from whichever source."""

    remote_id: str | None = None
    credits_used: Decimal | None = None
    """As the remote reported; None while unknown, which is not zero."""
    error_code: str | None = None
    finish_reason: str | None = None
    model_version: str | None = None
    partial: bool | None = None
    response_text: str | None = field(default=None, repr=False)
    response_thoughts: str | None = field(default=None, repr=False)
    response_function_calls: list[dict[str, Any]] | None = field(default=None, repr=False)
    failed_reason: str | None = field(default=None, repr=False)
    usage: dict[str, Any] | None = None
    citations: list[Any] | None = field(default=None, repr=False)

    def row_fields(self) -> dict[str, Any]:
        return self._told(_ROW)

    def content_fields(self) -> dict[str, Any]:
        told = self._told(_CONTENT)
        if len(told.get("failed_reason", "")) > LONGEST_REASON:
            told["failed_reason"] = told["failed_reason"][: LONGEST_REASON - len(_CUT)] + _CUT
        return told

    def without_json(self) -> Outcome:
        """Return it with its text and without calls, counts and citations.

        The first thing to save where a database refuses the whole: it is choosier about JSON.
        """
        partial = True if self.response_function_calls else self.partial
        return replace(self, **dict.fromkeys(_JSON), partial=partial)

    def without_answer(self) -> Outcome:
        """Return what is known beside the answer itself, which then is not there whole.

        The last thing to save, where `without_json` is refused, too: what it cost, and why.
        """
        nothing = dict.fromkeys(name for name in _CONTENT if name != "failed_reason")
        return replace(self, **nothing, partial=True)

    def _told(self, names: tuple[str, ...]) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in names}
        return {name: value for name, value in told.items() if value is not None}


NOTHING_NEW = Outcome()
