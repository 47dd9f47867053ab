"""`manage.py textgen_export USERNAME FILE`: writes everything that is known of one person."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from creatify_textgen import services
from creatify_textgen.management.terminal import PlainCommand
from creatify_textgen.management.users import find_user
from creatify_textgen.services import ExportReport

__all__ = ["Command"]


class Command(PlainCommand):
    help = "Write prompts, results, costs and media of one person into a new ZIP file."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("file", type=Path, help="the ZIP file to create")

    def handle(self, *_: Any, **options: Any) -> None:
        user = find_user(options["username"])
        try:
            report = _export(user, options["file"])
        except OSError as error:
            problem = f"{options['file']} could not be written: {error.strerror or error}."
            raise CommandError(problem) from None
        self.stdout.write(f"Wrote {report.generations} generations and {report.media} media.")
        if report.missing_media:
            self.stderr.write(f"These files are missing: {', '.join(report.missing_media)}")


def _export(user: Any, path: Path) -> ExportReport:
    # No other user of the system may read it, at no time: so the mode is set before the content.
    path.touch(mode=0o600, exist_ok=False)
    try:
        with path.open("wb") as file:
            return services.export(user, file)
    except BaseException:
        # zipfile completes an archive after an error, too, so half of one would look whole.
        path.unlink(missing_ok=True)
        raise
