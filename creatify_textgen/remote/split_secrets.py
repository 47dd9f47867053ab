"""Finds our secrets in a text that arrives piece by piece, also if one is cut between two pieces.

Pure. What may be the beginning of a secret is held back until the next piece shows what it is. Up
to three characters are not, because many texts end with them. Invariants: of a secret at most the
first three characters are given out, or seven if the text ends before the eighth. Nothing else of
the text is lost or moved.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from creatify_textgen.remote.redaction import REDACTED, SHORTEST_IN_ANSWERS, written_forms

__all__ = ["SplitSecrets"]

GIVEN_OUT = 3


class SplitSecrets:
    """Redacts one text. Secrets are longer than seven characters."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._forms = written_forms(tuple(secrets))
        self._whole = re.compile("|".join(map(re.escape, self._forms)))
        self._signs = [(f[: GIVEN_OUT + 1], f[GIVEN_OUT : 2 * GIVEN_OUT + 1]) for f in self._forms]
        """How each begins, and how it goes on if that beginning was given out."""
        self._last = ""
        """The last characters that were given out: a secret may begin there."""
        self._held = ""

    def is_harmless(self, piece: str) -> bool:
        """Whether `read` would return this piece as it is. Cheap, for nearly every piece is."""
        if self._held or 0 < len(piece) <= 2 * GIVEN_OUT:
            return not self._forms
        start = piece[: 2 * GIVEN_OUT + 1]
        # A loop, because `any` with a generator takes twice as long.
        for beginning, rest in self._signs:  # noqa: SIM110
            if beginning in piece or rest in start:
                return False
        return True

    def skip(self, piece: str) -> None:
        """Note that this harmless piece was given out."""
        self._last = (self._last + piece)[-GIVEN_OUT:]

    def read(self, piece: str) -> str:
        """Return what may be given out by now."""
        text = self._last + self._held + piece
        given, begins_at, clean = len(self._last), 0, ""
        for found in self._whole.finditer(text) if self._forms else ():
            clean += text[given : max(given, found.start())] + REDACTED
            given = begins_at = found.end()
        held_from = max(given, len(text) - self._beginning(text[begins_at:]))
        clean += text[given:held_from]
        self._held = text[held_from:]
        self._last = (self._last + clean)[-GIVEN_OUT:]
        return clean

    def rest(self) -> str:
        """Return what was held back, because nothing follows."""
        # With what was given out before: so much of a secret is not a word that begins like one.
        begun = self._beginning(self._last + self._held)
        rest, self._held = self._held, ""
        return REDACTED if begun >= SHORTEST_IN_ANSWERS else rest

    def _beginning(self, text: str) -> int:
        """Return how many characters at the end may begin a secret; 0 if they are few enough."""
        lengths = (
            length
            for form in self._forms
            for length in range(min(len(form) - 1, len(text)), GIVEN_OUT, -1)
            if text.endswith(form[:length])
        )
        return max(lengths, default=0)
