"""One remote id belongs to one row: recognizes the database's error if a second row gets it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import IntegrityError
from django.utils.translation import gettext as _

from creatify_textgen.exceptions import TransitionError
from creatify_textgen.models import Generation

__all__ = ["remote_id_once"]

CONSTRAINT = "textgen_remote_once"


@contextmanager
def remote_id_once() -> Iterator[None]:
    """Translate the database's error about a second row with one remote id, and no other error.

    Raises: TransitionError with code `remote_id_taken`.
    """
    try:
        yield
    except IntegrityError as error:
        if not _is_about_remote_id(error):
            raise
        raise TransitionError(
            _("Another generation has this remote id already."), code="remote_id_taken"
        ) from error


def _is_about_remote_id(error: IntegrityError) -> bool:
    # PostgreSQL and MariaDB name the constraint, SQLite names its columns. Only the first line is
    # read, because PostgreSQL quotes values in the others.
    reason = str(error).partition("\n")[0]
    return CONSTRAINT in reason or f"{Generation._meta.db_table}.remote_id" in reason
