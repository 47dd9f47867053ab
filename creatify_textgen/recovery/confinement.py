"""What one row or one workspace raises stays with it; the others go on.

Invariant: only a database that cannot be used stops the work of all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import Error as DatabaseFault

from creatify_textgen import lifecycle
from creatify_textgen.logs import SWEEP

__all__ = ["Confinement"]


class Confinement:
    """Logs and keeps what was raised, so that it can be raised when all else is done."""

    bug: Exception | None = None
    """The first that no answer should have led to; what the database refuses is none."""

    @contextmanager
    def around(self, subject: Any) -> Iterator[None]:
        """Let nothing out of this block but a database that cannot be used."""
        try:
            yield
        except Exception as error:
            if is_for_all(error):
                raise
            SWEEP.exception("%s was left for later; the others go on.", subject)
            if not isinstance(error, lifecycle.REFUSALS):
                self.bug = self.bug or error


def is_for_all(error: Exception) -> bool:
    """Whether the database is at fault, and not what was to be written: then all must wait."""
    return isinstance(error, DatabaseFault) and not lifecycle.is_refusal(error)
