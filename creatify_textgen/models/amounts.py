"""Credits as every door writes them: `0.00026818`, never `2.6818E-4` or `0E-10`."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db import models

__all__ = ["Credits", "CreditsField", "credits_text"]


class Credits(Decimal):
    """A `Decimal` whose text has no exponent and no zeros at its end."""

    def __str__(self) -> str:
        return credits_text(self)

    def __format__(self, specifier: str, /, *args: Any) -> str:
        return super().__format__(specifier, *args) if specifier else str(self)


# Type checkers know which type a column of Django's own field has, and not that of a subclass.
if TYPE_CHECKING:
    CreditsField = models.DecimalField
else:

    class CreditsField(models.DecimalField):
        """A column of credits, which are read as `Credits`."""

        def from_db_value(self, value: Decimal | None, *_: Any) -> Credits | None:
            return None if value is None else Credits(value)

        def deconstruct(self) -> Any:
            """Return Django's own field for migrations, whose column is the same."""
            name, _, args, kwargs = super().deconstruct()
            return name, "django.db.models.DecimalField", args, kwargs


def credits_text(number: Decimal) -> str:
    """Return `0.0005` instead of `5E-4` or `0.0005000000`."""
    # `str` would write an exponent below a millionth, and all ten places of the column.
    return format(Decimal(number).normalize(), "f")
