"""The known part of a generation's result, as values that any source can fill. Pure.

None means "not known": the column keeps its value.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

__all__ = ["NOTHING_NEW", "Outcome"]

_ROW = (
    "remote_id",
    "remote_id_as_sent",
    "credits_used",
    "error_code",
    "finish_reason",
    "model_version",
    "last_frame",
    "partial",
)
# Calls, counts and citations are JSON of the model, which may have values that no database takes.
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
"""Characters kept of a `failed_reason`. A remote may send a whole page, and a row must not fail to
be written because of it."""
# English, because it is stored, and a row is read in any language.
_CUT = " [cut]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A result, whole or in part, from an answer, a poll, a delivery or a stream."""

    remote_id: str | None = None
    remote_id_as_sent: str | None = None
    credits_used: Decimal | None = None
    """As the remote reported; None while unknown, which is not zero."""
    error_code: str | None = None
    finish_reason: str | None = None
    model_version: str | None = None
    last_frame: int | None = None
    """Number of the stream's frame with which a reader has the whole answer."""
    partial: bool | None = None
    response_text: str | None = field(default=None, repr=False)
    response_thoughts: str | None = field(default=None, repr=False)
    response_function_calls: list[dict[str, Any]] | None = field(default=None, repr=False)
    failed_reason: str | None = field(default=None, repr=False)
    usage: dict[str, Any] | None = None
    citations: list[Any] | None = field(default=None, repr=False)

    def row_fields(self) -> dict[str, Any]:
        return self._known(_ROW)

    def content_fields(self) -> dict[str, Any]:
        known = self._known(_CONTENT)
        # The reason of a failure may be cut. An answer never is: it was paid for.
        if len(known.get("failed_reason", "")) > LONGEST_REASON:
            known["failed_reason"] = known["failed_reason"][: LONGEST_REASON - len(_CUT)] + _CUT
        return known

    def without_json(self) -> Outcome:
        """Return it with its text and without calls, counts and citations.

        Saved if a database refuses the whole result: databases refuse some values in JSON.
        """
        # A call that is missing makes the answer incomplete. Missing counts do not.
        partial = True if self.response_function_calls else self.partial
        return replace(self, **dict.fromkeys(_JSON), partial=partial)

    def without_answer(self) -> Outcome:
        """Return what is known except the answer: the row is then `partial`.

        Saved if `without_json` is refused, too, so that the cost and the reason are kept.
        """
        nothing = dict.fromkeys(name for name in _CONTENT if name != "failed_reason")
        return replace(self, **nothing, partial=True)

    def _known(self, names: tuple[str, ...]) -> dict[str, Any]:
        known = {name: getattr(self, name) for name in names}
        return {name: value for name, value in known.items() if value is not None}


NOTHING_NEW = Outcome()
