"""`manage.py textgen_prune`: removes prompts, results and media that are too old."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from creatify_textgen import services
from creatify_textgen.exceptions import RequestError
from creatify_textgen.management.terminal import PlainCommand, days

__all__ = ["Command"]


class Command(PlainCommand):
    help = "Remove old prompts, results and media. Rows, costs and timelines stay."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--older-than",
            type=days,
            metavar="DAYS",
            help="without it, the setting CONTENT_RETENTION_DAYS",
        )
        parser.add_argument("--dry-run", action="store_true", help="only count, change nothing")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            report = services.prune(
                older_than_days=options["older_than"], dry_run=options["dry_run"]
            )
        except RequestError as error:
            raise CommandError(f"{error} Name the days with --older-than.") from error
        removed = "Would remove" if options["dry_run"] else "Removed"
        self.stdout.write(
            f"{removed} the content of {report.generations} generations and {report.media} media "
            f"({report.media_bytes} bytes)."
        )
