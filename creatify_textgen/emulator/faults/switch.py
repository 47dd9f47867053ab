"""What a switch of the emulator is, and how its row in the table is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Switch", "SwitchError", "switch"]


class SwitchError(ValueError):
    """Unknown switch, or a value that the switch does not take."""


@dataclass(frozen=True, slots=True)
class Switch:
    """One row of the table."""

    name: str
    default: Any
    allowed: tuple[str, ...]
    """The words it takes (several, if the default is a tuple); empty: any value of its type."""
    meaning: str
    counted_by: str
    """Which requests count against `times`: create, get, list, credits or any."""


def switch(
    default: Any, meaning: str, *, allowed: tuple[str, ...] = (), counted_by: str = "create"
) -> Any:
    """Return the field of a switch, for the class whose fields are the table."""
    # In the field's metadata, so that a switch is one line: name, type, default and meaning.
    metadata = {"meaning": meaning, "allowed": allowed, "counted_by": counted_by}
    return field(default=default, metadata=metadata)
