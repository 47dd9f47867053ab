"""An error of one row or one workspace does not stop the others.

Invariant: only a database that cannot be used stops the work of all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import Error as DatabaseFault

from creatify_textgen import databases, lifecycle
from creatify_textgen.logs import SWEEP

__all__ = ["Confinement"]


class Confinement:
    """Logs and keeps errors, so that they can be raised after all other work is done."""

    bug: Exception | None = None
    """The first error that is not a refusal of the database: a bug."""

    @contextmanager
    def around(self, subject: Any) -> Iterator[None]:
        """Catch every error of this block, except that the database cannot be used."""
        try:
            yield
        except Exception as error:
            if is_for_all(error):
                raise
            SWEEP.error(
                "%s was left for later (%s); the others go on.",
                subject,
                type(error).__name__,
                exc_info=databases.loggable(error),
            )
            # A value that cannot be saved concerns its row alone, and the log has it.
            if not isinstance(error, lifecycle.REFUSALS):
                self.bug = self.bug or error


def is_for_all(error: Exception) -> bool:
    """Whether the database is at fault, and not the value that was written: then all must wait."""
    return isinstance(error, DatabaseFault) and not lifecycle.is_refusal(error)
