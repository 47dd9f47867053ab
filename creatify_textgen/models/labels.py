"""Gives each column the translation of its name as its label."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext_lazy

__all__ = ["translate_labels"]


def translate_labels(models: Iterable[Any]) -> None:
    """Make the labels that Django derives from the names of columns translatable.

    Not by a `verbose_name` for each column, which would repeat its name. Labels that were written
    by hand, and migrations, are as they were.
    """
    for model in models:
        for field in (*model._meta.local_fields, *model._meta.local_many_to_many):
            # In this way Django makes a label from a name (`Field.set_attributes_from_name`).
            if field.verbose_name == field.name.replace("_", " "):
                field.verbose_name = gettext_lazy(field.verbose_name)
