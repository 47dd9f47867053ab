"""Checks the settings of a new conversation as those of a request are checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from creatify_textgen.conf import conf
from creatify_textgen.exceptions import RequestError
from creatify_textgen.intake import accept
from creatify_textgen.intake.reading import Reader

__all__ = ["read_settings", "read_title", "refuse_unstored"]

KEPT = ("account", "owner", "model_name", "system_instruction", "config", "tools", "tool_config")
# The largest number that a PositiveIntegerField has on every database.
LARGEST_WINDOW = 2**31 - 1


def read_settings(
    *, title: Any, windows: Mapping[str, Any], longest_title: int, **request: Any
) -> dict[str, Any]:
    """Return the fields of a new conversation. Raises: RequestError that names all wrong fields."""
    refuse_unstored()
    reader = Reader()
    fields: dict[str, Any] = {
        "title": _read_title(title, longest=longest_title, reader=reader),
        **{name: _read_window(windows[name], path=name, reader=reader) for name in windows},
    }
    try:
        # With any text: what is wrong now would be wrong in each turn. Nothing is stored.
        intake = accept("?", **request)
    except RequestError as error:
        for path, rules in error.errors.items():
            reader.refuse(path, " ".join(rules))
    reader.raise_if_refused()
    return {**fields, "metadata": intake.metadata, **{name: getattr(intake, name) for name in KEPT}}


def refuse_unstored() -> None:
    """Raise if the site stores no content: nothing could be sent again. Raises: RequestError."""
    if not conf.store_content:
        raise RequestError(
            "Conversations and runs are made of stored answers, and STORE_CONTENT is False.",
            code="content_not_stored",
        )


def read_title(value: Any, *, longest: int) -> str:
    """Return the title on one line. Raises: RequestError."""
    reader = Reader()
    title = _read_title(value, longest=longest, reader=reader)
    reader.raise_if_refused()
    return title


def _read_title(value: Any, *, longest: int, reader: Reader) -> str:
    title = " ".join(reader.text(value, path="title").split())
    if len(title) > longest:
        reader.refuse(
            "title",
            _("Must have at most %(limit)d characters, not %(count)d.")
            % {"limit": longest, "count": len(title)},
        )
    return title


def _read_window(value: Any, *, path: str, reader: Reader) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= LARGEST_WINDOW:
        reader.refuse(path, "Must be a whole number above 0, or absent to send the whole past.")
        return None
    return value
