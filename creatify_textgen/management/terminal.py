"""Commands whose output cannot control a terminal, whatever a model or the remote wrote.

An error that the person at the terminal can mend is one line, without a traceback. Invariant: no
control character but tab and line feed reaches stdout or stderr. This holds for redirected output
too, because a terminal may show the file later.
"""

from __future__ import annotations

import os
import re
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper
from django.db import InterfaceError, OperationalError, ProgrammingError

from creatify_textgen import clock
from creatify_textgen.conf import MOST_DAYS

__all__ = ["PlainCommand", "day", "days", "format_time", "plain"]

# Shells report 128 and the number of the signal: 2 is SIGINT, 13 is SIGPIPE.
INTERRUPTED = 130
PIPE_CLOSED = 141
"""What shells report for a command that a closed pipe ended, as in `… | head -1`."""

# A carriage return is among them: the text after it would overwrite the line. So are U+0080 to
# U+009F: some terminals read U+009B alone as the beginning of an escape sequence (ECMA-48, C1).
CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def plain(text: str) -> str:
    """Return the text with U+FFFD in place of each control character."""
    return CONTROL_CHARACTERS.sub("\ufffd", text)


def day(text: str) -> date:
    """Return a day from the command line. Raises: ArgumentTypeError."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError("must be a day, such as 2026-11-30") from None


def days(text: str) -> int:
    """Return a number of days from the command line. Raises: ArgumentTypeError."""
    if text.isdecimal() and 0 < int(text) <= MOST_DAYS:
        return int(text)
    raise ArgumentTypeError(f"must be a number of days from 1 to {MOST_DAYS}")


def format_time(stored: datetime) -> str:
    """Return a time of the database with its zone, which is UTC whatever TIME_ZONE is."""
    return f"{clock.as_utc_range(stored)[0]:%Y-%m-%d %H:%M:%S} UTC"


class PlainOutput(OutputWrapper):
    """Replaces control characters, then applies the style, which consists of some."""

    def write(  # type: ignore[override]  # as its base class in Django
        self,
        msg: str = "",
        style_func: Callable[[str], str] | None = None,
        ending: str | None = None,
    ) -> None:
        super().write(plain(msg), style_func, ending)


class PlainCommand(BaseCommand):
    """The commands of this app. A style is passed to `write`, not put into the text."""

    # Properties, because Django assigns the streams twice: when the command is made, and in
    # `execute` if `call_command` was given others.
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
                # A short output stays in the buffer. Python would write it at exit, and report a
                # closed pipe with lines that no code can prevent.
                sys.stdout.flush()
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        except BrokenPipeError:
            # The recipe of Python's documentation (`signal`, "Note on SIGPIPE"): Python flushes
            # stdout again when it exits, and would report the same error.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(PIPE_CLOSED)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run the command. Raises: CommandError, for wrong settings and a failing database too."""
        try:
            return super().execute(*args, **options)
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        except (InterfaceError, OperationalError, ProgrammingError) as error:
            # The text of a driver may contain the password of the database.
            text = "Is it running, and was manage.py migrate called? --traceback shows more."
            raise CommandError(f"The database failed ({type(error).__name__}). {text}") from error

    def create_parser(self, *args: Any, **options: Any) -> CommandParser:
        """Return a parser whose messages quote no control character of the command line."""
        parser = super().create_parser(*args, **options)
        # argparse writes to sys.stderr itself, not to the command's stderr.
        refuse = parser.error
        setattr(parser, "error", lambda message: refuse(plain(message)))  # noqa: B010
        return parser


def _plain_output(out: OutputWrapper) -> PlainOutput:
    # It wraps the stream inside Django's wrapper. If it wrapped that wrapper, the inner one would
    # add a line feed to each piece, whatever `ending` is.
    wrapped = PlainOutput(getattr(out, "_out"))  # noqa: B009
    wrapped.style_func = out.style_func
    return wrapped
