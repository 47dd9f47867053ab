"""Commands whose output cannot control a terminal, whatever a model or the remote wrote.

What the person at the terminal can mend is one line, without a traceback. Invariant: no control
character but tab and line feed reaches stdout or stderr, redirected or not: what a file keeps may
be shown later.
"""

from __future__ import annotations

import os
import re
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper
from django.db import InterfaceError, OperationalError, ProgrammingError

__all__ = ["PlainCommand", "days", "plain"]

INTERRUPTED = 130
PIPE_CLOSED = 141
"""What shells report for a command that the closed pipe ended, as after `| head -1`."""
MOST_DAYS = 36500

CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def plain(text: str) -> str:
    """Return the text with U+FFFD in place of each control character."""
    return CONTROL_CHARACTERS.sub("\ufffd", text)


def days(text: str) -> int:
    """Return a number of days from the command line. Raises: ArgumentTypeError."""
    if text.isdecimal() and 0 < int(text) <= MOST_DAYS:
        return int(text)
    raise ArgumentTypeError(f"must be a number of days from 1 to {MOST_DAYS}")


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

    def run_from_argv(self, argv: list[str]) -> None:
        """Run the command of a command line, and end the process quietly if its reader has gone."""
        try:
            try:
                super().run_from_argv(argv)
            finally:
                sys.stdout.flush()
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        except BrokenPipeError:
            # Otherwise Python would report the rest of the output, which it cannot write at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(PIPE_CLOSED)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run the command. Raises: CommandError also for settings and a database that fail."""
        try:
            return super().execute(*args, **options)
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        except (InterfaceError, OperationalError, ProgrammingError) as error:
            # Its text may have the password of the database.
            text = "Is it running, and was manage.py migrate called? --traceback shows more."
            raise CommandError(f"The database failed ({type(error).__name__}). {text}") from error

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
