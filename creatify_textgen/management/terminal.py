"""Commands whose output cannot control a terminal, whatever a model or the remote wrote.

Invariant: no control character but tab and line feed reaches stdout or stderr, redirected or not:
what a file keeps may be shown later.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandParser, OutputWrapper

__all__ = ["PlainCommand", "plain"]

CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def plain(text: str) -> str:
    """Return the text with U+FFFD in place of each control character."""
    return CONTROL_CHARACTERS.sub("\ufffd", text)


class PlainOutput(OutputWrapper):
    """Replaces control characters, then applies the style, which may have some."""

    def write(  # type: ignore[override]  # as its base class in Django
        self,
        msg: str = "",
        style_func: Callable[[str], str] | None = None,
        ending: str | None = None,
    ) -> None:
        super().write(plain(msg), style_func, ending)


class PlainCommand(BaseCommand):
    """The commands of this app. A style is passed to `write`, not put into the text."""

    @property
    def stdout(self) -> OutputWrapper:
        return self._stdout

    @stdout.setter
    def stdout(self, out: OutputWrapper) -> None:
        self._stdout = _plain_output(out)

    @property
    def stderr(self) -> OutputWrapper:
        return self._stderr

    @stderr.setter
    def stderr(self, out: OutputWrapper) -> None:
        self._stderr = _plain_output(out)

    def create_parser(self, *args: Any, **options: Any) -> CommandParser:
        """Return a parser whose messages quote no control character of the command line."""
        parser = super().create_parser(*args, **options)
        refuse = parser.error
        setattr(parser, "error", lambda message: refuse(plain(message)))  # noqa: B010
        return parser


def _plain_output(out: OutputWrapper) -> PlainOutput:
    # Not around it, because then it would end each piece with a line feed.
    wrapped = PlainOutput(getattr(out, "_out"))  # noqa: B009
    wrapped.style_func = out.style_func
    return wrapped
