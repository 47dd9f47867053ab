"""Which row a verb is about. Pure."""

from __future__ import annotations

from typing import Any

from creatify_textgen.exceptions import RequestError
from creatify_textgen.intake.text import kind_of
from creatify_textgen.models import Generation

__all__ = ["expect_generation"]


def expect_generation(value: Any) -> None:
    """Refuse what is not a row, such as an id. Raises: RequestError, which says what to pass."""
    if not isinstance(value, Generation):
        rule = f"Must be a Generation, such as Generation.objects.get(pk=id), not {kind_of(value)}."
        raise RequestError(f"generation: {rule}", errors={"generation": [rule]})
