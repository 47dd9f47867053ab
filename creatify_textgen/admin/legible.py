"""Foreign text made fit to look at: cut to a budget, what hides made visible, JSON laid out.

Returns plain text, never markup: escaping is left to the templates. Pure.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

__all__ = ["PAGE_LIMIT", "TEXT_LIMIT", "Budget", "Cut", "lay_out", "lay_out_text", "unmask"]

TEXT_LIMIT = 200_000
"""Characters shown of one text."""
PAGE_LIMIT = 1_000_000
"""Characters shown on one page."""
SMALLEST_COST = 500
"""What a text costs at least: its markup is no smaller, and there may be very many."""
DEEPEST_LAYOUT = 40

_CONTROLS = (*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), *range(0x7F, 0xA0))
# Marks that make a text read otherwise than it is stored (Unicode TR 36, 2.5).
_REORDERING = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
_VISIBLE = {code: f"[U+{code:04X}]" for code in (*_CONTROLS, *_REORDERING)}


@dataclass(frozen=True, slots=True)
class Cut:
    """A text as far as it is shown."""

    text: str
    omitted: int = 0
    """Characters that are not shown."""


class Budget:
    """How many characters a page may still show."""

    def __init__(self, characters: int = PAGE_LIMIT) -> None:
        self._left = characters

    @property
    def is_spent(self) -> bool:
        return self._left <= 0

    def cut(self, text: str) -> Cut:
        """Return the beginning of the text that the page has room for, unmasked."""
        room = max(0, min(TEXT_LIMIT, self._left))
        self._left -= max(SMALLEST_COST, min(len(text), room))
        return Cut(unmask(text[:room]), max(0, len(text) - room))


def unmask(text: str) -> str:
    """Return the text with control and reordering characters spelled out."""
    return text.translate(_VISIBLE)


def lay_out(value: Any) -> str:
    """Return a JSON value as indented text, or in one line where it is deeply nested."""
    try:
        # Indenting costs depth times width: what a stranger nested stays as flat as it came.
        indent = 2 if _is_shallow(value) else None
        return json.dumps(value, indent=indent, ensure_ascii=False, default=str)
    except (RecursionError, ValueError):
        return _("(too deeply nested to be shown)")


def lay_out_text(text: str) -> str | None:
    """Return a text that is a JSON object or list laid out, or None for any other text."""
    if len(text) > TEXT_LIMIT or text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return lay_out(json.loads(text))
    except (RecursionError, ValueError):
        return None


def _is_shallow(value: Any) -> bool:
    level = [value]
    for _depth in range(DEEPEST_LAYOUT):
        level = [child for item in level for child in _children(item)]
        if not level:
            return True
    return False


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
