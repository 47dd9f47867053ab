"""Reads what a person has decided about a generation that may have been charged."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from creatify_textgen.intake.reading import Reader
from creatify_textgen.rest.bodies import read_fields

__all__ = ["read_settlement"]

FIELDS = ("decision", "credits_used", "remote_id")


def read_settlement(body: Any) -> dict[str, Any]:
    """Return the arguments of `services.settle` in a body such as `{"decision": "charged"}`.

    Raises: RequestError for another field, or a value of a wrong type.
    """
    fields = read_fields(body, known=FIELDS, required="decision")
    reader = Reader()
    for name in fields.keys() & {"decision", "remote_id"}:
        fields[name] = reader.text(fields[name], path=name)
    cost = fields.get("credits_used")
    if isinstance(cost, bool) or not isinstance(cost, int | float | str | None):
        reader.refuse("credits_used", _("Must be a number of credits, such as 0.0005."))
    reader.raise_if_refused()
    # As it was written: the binary fraction of 0.1 has 55 digits as a Decimal.
    return {**fields, "credits_used": str(cost) if isinstance(cost, float) else cost}
