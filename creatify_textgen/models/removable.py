"""The relation to a row that may be removed before the row that it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models.fields.related_descriptors import ReverseOneToOneDescriptor

__all__ = ["RemovableField"]

if TYPE_CHECKING:
    _Descriptor = ReverseOneToOneDescriptor[Any, Any]
    _OneToOneField = models.OneToOneField[Any, Any]
else:
    _Descriptor = ReverseOneToOneDescriptor
    _OneToOneField = models.OneToOneField


class RowOrEmpty(_Descriptor):
    """Gives an empty row, which is not saved, in place of one that was removed."""

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        try:
            return super().__get__(instance, cls)
        except self.RelatedObjectDoesNotExist:
            # The constructor also caches it on the instance, so there is no second query.
            return self.related.related_model(**{self.related.field.name: instance})


class RemovableField(_OneToOneField):
    """A one-to-one relation whose reverse side never raises."""

    # Django makes the reverse side of the relation with this class.
    related_accessor_class = RowOrEmpty

    def deconstruct(self) -> Any:
        """Return what a migration needs, for which this is a plain relation."""
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.OneToOneField", args, kwargs
