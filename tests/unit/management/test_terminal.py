"""No command lets a control character out, on either stream."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import OperationalError, ProgrammingError
from django.utils import timezone

from creatify_textgen import clock
from creatify_textgen.management import commands, terminal
from creatify_textgen.management.terminal import PlainCommand, format_time

HOSTILE = "a\x1b[2J\x9bb\rc\x00\td\n"
SHOWN = "a\ufffd[2J\ufffdb\ufffdc\ufffd\td\n"
NAMES = [path.stem for path in Path(commands.__path__[0]).glob("textgen_*.py")]


class Hostile(PlainCommand):
    requires_system_checks: list[str] = []

    def handle(self, *_: object, **__: object) -> None:
        self.stdout.write(HOSTILE)
        self.stdout.write(HOSTILE, ending="")
        self.stderr.write(HOSTILE)


class Failing(PlainCommand):
    """A command that raises what it was made with."""

    requires_system_checks: list[str] = []

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def handle(self, *_: object, **__: object) -> None:
        raise self.error


class TestFormatTime:
    @pytest.mark.parametrize("use_tz", [True, False])
    def test_is_in_utc_however_times_are_stored(self, settings: Any, use_tz: bool) -> None:
        settings.USE_TZ, settings.TIME_ZONE = use_tz, "Asia/Tokyo"
        stored = clock.to_stored(datetime(2026, 1, 31, 23, 30, tzinfo=UTC))
        with timezone.override("America/New_York"):
            assert format_time(stored) == "2026-01-31 23:30:00 UTC"


class TestFailures:
    """What the person at the terminal can mend is one line, and a closed pipe is none."""

    @pytest.mark.parametrize("kind", [OperationalError, ProgrammingError])
    def test_names_a_failing_database_without_its_words(
        self, kind: type[Exception], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as ended:
            Failing(kind("password=sentinel")).run_from_argv(["manage.py", "failing"])
        error = capsys.readouterr().err
        assert ended.value.code == 1
        assert "migrate" in error
        assert "sentinel" not in error
        assert error.count("\n") == 1

    def test_says_what_is_wrong_with_the_settings(self) -> None:
        with pytest.raises(CommandError, match="no account 'b'"):
            Failing(ImproperlyConfigured("no account 'b'")).execute(
                no_color=True, force_color=False
            )

    def test_keeps_the_traceback_of_a_bug(self) -> None:
        with pytest.raises(LookupError):
            Failing(LookupError("a bug")).run_from_argv(["manage.py", "failing"])

    @pytest.mark.parametrize(
        ("error", "code"), [(BrokenPipeError(), 141), (KeyboardInterrupt(), 130)]
    )
    def test_ends_quietly(
        self,
        error: BaseException,
        code: int,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr(os, "dup2", lambda *_: None)
        with pytest.raises(SystemExit) as ended:
            Failing(error).run_from_argv(["manage.py", "failing"])
        assert ended.value.code == code
        assert capfd.readouterr() == ("", "")


class TestDays:
    @pytest.mark.parametrize("text", ["1", "36500"])
    def test_takes_a_number_of_days(self, text: str) -> None:
        assert terminal.days(text) == int(text)

    @pytest.mark.parametrize("text", ["0", "-5", "36501", "99999999999", "x", "1.5", ""])
    @pytest.mark.parametrize(
        "line", [("textgen_prune", "--older-than"), ("textgen_reconcile", "--days")]
    )
    def test_is_refused_by_each_command(self, line: tuple[str, str], text: str) -> None:
        name, option = line
        with pytest.raises(CommandError, match="must be a number of days from 1 to 36500"):
            call_command(name, f"{option}={text}")


class TestPlainCommand:
    def test_shows_control_characters_on_both_streams(self) -> None:
        out, error = StringIO(), StringIO()
        Hostile(stdout=out, stderr=error).execute(no_color=True, force_color=False)
        assert (out.getvalue(), error.getvalue()) == (SHOWN * 2, SHOWN)

    def test_does_so_on_streams_given_later(self) -> None:
        out, error = StringIO(), StringIO()
        Hostile().execute(stdout=out, stderr=error, no_color=True, force_color=False)
        assert (out.getvalue(), error.getvalue()) == (SHOWN * 2, SHOWN)

    def test_keeps_the_style_of_a_line(self) -> None:
        out = StringIO()
        command = Hostile(stdout=out)
        command.stdout.write("x\x1b", lambda text: f"\x1b[1m{text}\x1b[0m", ending="")
        assert out.getvalue() == "\x1b[1mx\ufffd\x1b[0m"

    def test_quotes_no_control_character_of_the_command_line(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        parser = Hostile().create_parser("manage.py", "hostile")
        parser.called_from_command_line = True  # type: ignore[attr-defined]
        with pytest.raises(SystemExit):
            parser.parse_args(["a\x1b[2Jb"])
        error = capsys.readouterr().err
        assert "a\ufffd[2Jb" in error
        assert "\x1b" not in error

    def test_quotes_none_in_an_error(self) -> None:
        parser = Hostile().create_parser("manage.py", "hostile")
        with pytest.raises(CommandError, match="a\ufffdb"):
            parser.parse_args(["a\x1bb"])

    @pytest.mark.parametrize("name", NAMES)
    def test_is_what_every_command_is(self, name: str) -> None:
        module = import_module(f"{commands.__name__}.{name}")
        assert issubclass(module.Command, PlainCommand)
