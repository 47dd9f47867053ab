"""Reads a create request that came as one value: a JSON body, or a mapping of arguments."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from creatify_textgen.exceptions import RequestError
from creatify_textgen.intake.config import KEYS as CONFIG_KEYS
from creatify_textgen.intake.extras import may_pass
from creatify_textgen.intake.reading import Reader
from creatify_textgen.intake.text import kind_of

__all__ = ["BODY_FIELDS", "check_arguments", "check_options", "read_body"]

# Without `owner`, who is the user of the HTTP request, `schema`, which is a type in Python, and
# `store_content`, which is the site's decision.
BODY_FIELDS = frozenset(
    {
        "model_name",
        "messages",
        "system_instruction",
        "config",
        "tools",
        "tool_config",
        "metadata",
        "account",
        "extra",
        "sync",
    }
)

ARGUMENTS = BODY_FIELDS.difference({"sync"}).union({"owner", "schema", "store_content"})

# For names that the APIs of others have, or that belong elsewhere in the request.
_HINTS = {
    **dict.fromkeys(CONFIG_KEYS, "put it into config."),
    "extra": 'this site does not set EXTRA_CONFIG to "pass".',
    "webhook_url": "the site sets it; see WEBHOOK_BASE_URL.",
    "prompt": "use messages, which may be a plain string in Python.",
    "model": "did you mean model_name?",
    "system": "did you mean system_instruction?",
    "stream": "post to generations/stream/ instead.",
}


def read_body(body: Any, *, also: Collection[str] = ()) -> dict[str, Any]:
    """Return the fields of the body; `accept` takes all of them except `sync`, a boolean.

    `also` names further fields that the caller accepts. Only the outermost level is checked here;
    `accept` checks the rest. Raises: RequestError if the body is not an object, has an unknown
    field, or has no messages.
    """
    reader = Reader()
    fields = reader.mapping(body, path="")
    if fields is None:
        reader.raise_if_refused()
        return {}
    known = BODY_FIELDS if may_pass() else BODY_FIELDS.difference({"extra"})
    reader.known_keys(fields, known.union(also), path="", hints=_HINTS)
    if "messages" not in fields:
        reader.refuse("messages", "Is required.")
    if not isinstance(fields.get("sync", False), bool):
        reader.refuse("sync", f"Must be true or false, not {kind_of(fields['sync'])}.")
    reader.raise_if_refused()
    return dict(fields)


def check_arguments(request: Any, **defaults: Any) -> dict[str, Any]:
    """Return the keyword arguments of `accept` for one request of many, which is a mapping of them.

    Raises: RequestError, which names an argument that is unknown or missing.
    """
    reader = Reader()
    if isinstance(request, Mapping):
        reader.known_keys(request, ARGUMENTS, path="", hints=_HINTS)
        if "messages" not in request:
            reader.refuse("messages", "Is required.")
    else:
        rule = 'Must be a mapping of the arguments of submit, such as {"messages": "Hello"}'
        reader.refuse("", f"{rule}, not {kind_of(request)}.")
    reader.raise_if_refused()
    return {**defaults, **request}


def check_options(
    options: Mapping[str, Any],
    *,
    known: frozenset[str] = ARGUMENTS,
    hints: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Raise a TypeError, as Python does, that says what to write instead of an unknown option."""
    reader = Reader()
    reader.known_keys(options, known, path="", hints={**_HINTS, **hints})
    try:
        reader.raise_if_refused()
    except RequestError as error:
        # A wrong keyword is a bug of the caller, so no door may show it as a wrong request.
        raise TypeError(str(error)) from None
