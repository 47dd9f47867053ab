"""`manage.py textgen_erase USERNAME`: erases prompts, results and media of one person."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from creatify_textgen import services
from creatify_textgen.management.terminal import PlainCommand
from creatify_textgen.management.users import find_user

__all__ = ["Command"]


class Command(PlainCommand):
    help = "Erase prompts, results and media of one person. Rows, costs and timelines stay."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--dry-run", action="store_true", help="only count, change nothing")

    def handle(self, *_: Any, **options: Any) -> None:
        user = find_user(options["username"])
        report = services.erase(user, dry_run=options["dry_run"])
        would, erased = ("Would ", "erase") if options["dry_run"] else ("", "Erased")
        self.stdout.write(
            f"{would}{erased} the content of {report.generations} generations "
            f"({report.cancelled} of them queued and cancelled) and {report.media} media "
            f"({report.media_bytes} bytes)."
        )
        if report.still_open:
            ids = ", ".join(map(str, report.open_ids))
            self.stdout.write(
                f"{report.still_open} generations were sent and have not ended. Their content goes "
                f"when they end: {ids}"
            )
