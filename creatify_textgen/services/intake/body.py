"""The body of a create as a client of ours writes it, told apart into keyword arguments. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from creatify_textgen.services.intake.reading import Reader
from creatify_textgen.services.intake.text import kind_of

__all__ = ["BODY_FIELDS", "read_body"]

BODY_FIELDS = frozenset(
    {
        "model_name",
        "messages",
        "system_instruction",
        "config",
        "tools",
        "tool_config",
        "metadata",
        "sync",
    }
)

_HINTS = {
    "webhook_url": "the site sets it; see WEBHOOK_BASE_URL.",
    "prompt": "use messages, which may be a plain string in Python.",
    "model": "did you mean model_name?",
    "stream": "post to generations/stream/ instead.",
}


def read_body(body: Any, *, also: Collection[str] = ()) -> dict[str, Any]:
    """Return the fields that are there; `accept` takes all of them but `sync`, a boolean.

    `also` names further fields that the caller takes. Only the outermost level is looked at.
    Raises: RequestError where the body is no object, has an unknown field or no messages.
    """
    reader = Reader()
    fields = reader.mapping(body, path="")
    if fields is None:
        reader.raise_if_refused()
        return {}
    reader.known_keys(fields, BODY_FIELDS.union(also), path="", hints=_HINTS)
    if "messages" not in fields:
        reader.refuse("messages", "Is required.")
    if not isinstance(fields.get("sync", False), bool):
        reader.refuse("sync", f"Must be true or false, not {kind_of(fields['sync'])}.")
    reader.raise_if_refused()
    return dict(fields)
