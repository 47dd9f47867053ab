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
_CONTENT = (
    "response_text",
    "response_thoughts",
    "response_function_calls",
    "failed_reason",
    "usage",
    "citations",
)


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
        return self._told(_CONTENT)

    def without_answer(self) -> Outcome:
        """Return what is known beside the answer itself, which then is not there whole."""
        content = Outcome(failed_reason=self.failed_reason, usage=self.usage)
        answer = {name: getattr(content, name) for name in _CONTENT}
        return replace(self, **answer, partial=True)

    def _told(self, names: tuple[str, ...]) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in names}
        return {name: value for name, value in told.items() if value is not None}


NOTHING_NEW = Outcome()
