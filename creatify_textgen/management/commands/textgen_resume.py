"""`manage.py textgen_resume`: ends what `textgen_pause`, or the app itself, has paused."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from creatify_textgen import services
from creatify_textgen.exceptions import RequestError
from creatify_textgen.management.terminal import PlainCommand

__all__ = ["Command"]


class Command(PlainCommand):
    help = "Send again what textgen_pause stopped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--account", default="", help="a name from ACCOUNTS; without it, the pause of all"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            resumed = services.resume_sending(options["account"])
        except RequestError as error:
            raise CommandError(str(error)) from error
        name = options["account"] or "all accounts"
        self.stdout.write(f"Resumed: {name}." if resumed else f"There is no pause of {name}.")
