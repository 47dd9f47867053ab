"""No command lets a control character out, on either stream."""

from __future__ import annotations

from importlib import import_module
from io import StringIO
from pathlib import Path

import pytest
from django.core.management.base import CommandError

from creatify_textgen.management import commands
from creatify_textgen.management.terminal import PlainCommand

HOSTILE = "a\x1b[2J\x9bb\rc\x00\td\n"
SHOWN = "a\ufffd[2J\ufffdb\ufffdc\ufffd\td\n"
NAMES = [path.stem for path in Path(commands.__path__[0]).glob("textgen_*.py")]


class Hostile(PlainCommand):
    requires_system_checks: list[str] = []

    def handle(self, *_: object, **__: object) -> None:
        self.stdout.write(HOSTILE)
        self.stdout.write(HOSTILE, ending="")
        self.stderr.write(HOSTILE)


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
