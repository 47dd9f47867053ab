"""`manage.py textgen_pause`: stops all sending. `textgen_resume` starts it again."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from creatify_textgen import services
from creatify_textgen.exceptions import RequestError
from creatify_textgen.management.terminal import PlainCommand

__all__ = ["Command"]


class Command(PlainCommand):
    help = "Send nothing more to Creatify until textgen_resume. What was sent goes on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--account", default="", help="a name from ACCOUNTS; without it, all")
        parser.add_argument("--reason", default="", help="why, for your colleagues")

    def handle(self, *_: Any, **options: Any) -> None:
        # The pause is a row, so it holds for every process, and until somebody resumes.
        try:
            pause = services.pause_sending(options["account"], reason=options["reason"])
        except RequestError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"Paused: {pause.account or 'all accounts'}. New requests are refused, and queued ones "
            "wait."
        )
