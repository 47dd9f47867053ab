"""Which row a verb is about, and from when on. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Model

from creatify_textgen.exceptions import RequestError
from creatify_textgen.intake.text import kind_of
from creatify_textgen.models import Generation

__all__ = ["expect_datetime", "expect_generation", "expect_row"]


def expect_generation(value: Any) -> None:
    """Refuse what is not a row, such as an id. Raises: RequestError, which says what to pass."""
    expect_row(value, Generation)


def expect_row(value: Any, model: type[Model]) -> None:
    """Refuse what is not a saved row of this model. Raises: RequestError."""
    name = model.__name__
    if not isinstance(value, model):
        found = kind_of(value)
    # Not `pk is None`: a UUID is set before the row is saved.
    elif value._state.adding:
        found = "one that was never saved"
    else:
        return
    rule = f"Must be a {name}, such as {name}.objects.get(pk=id), not {found}."
    path = name.lower()
    raise RequestError.about(path, rule)


def expect_datetime(since: Any) -> datetime:
    """Return what is a datetime. Raises: RequestError, for a day too."""
    # A `datetime` is a `date`, but not the reverse: a day alone would leave the hour open.
    if isinstance(since, datetime):
        return since
    rule = f"Must be a datetime, not {kind_of(since)}."
    raise RequestError.about("since", rule)
