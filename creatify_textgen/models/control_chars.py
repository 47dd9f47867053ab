"""Makes characters visible that would change how the text around them reads.

Here, because the names of rows are shown by Django's own pages, too.
"""

from __future__ import annotations

__all__ = ["show_control_chars"]

_CONTROLS = (*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), *range(0x7F, 0xA0))
# Marks that change the order in which a text is read (Unicode TR 36, 2.5).
_REORDERING = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
# Characters that show nothing, and could hide words. The joiners stay: emoji and some scripts
# need them.
_INVISIBLE = (
    0xAD,
    0x200B,
    0x2028,
    0x2029,
    *range(0x2060, 0x2065),
    0xFEFF,
    *range(0xE0000, 0xE0080),
)
_VISIBLE = {code: f"[U+{code:04X}]" for code in (*_CONTROLS, *_REORDERING, *_INVISIBLE)}


def show_control_chars(text: str) -> str:
    """Return the text with control, reordering and invisible characters as `[U+202E]`."""
    return text.translate(_VISIBLE)
