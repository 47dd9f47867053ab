"""`manage.py textgen_doctor`: does everything that a generation needs really work, right now?

Renders the findings of the examinations; exit code 1 where any failed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from creatify_textgen.management.examination import EXAMINATIONS, Finding, examine

MARKS = {"ok": "ok     ", "warning": "WARNING", "failed": "FAILED ", "skipped": "skipped"}


class Command(BaseCommand):
    help = (
        "Try credentials, database, cache, storage, streams, broker, workers, webhook URL and "
        "sweep for real. Spends no credits."
    )
    # A wrong setting is a finding here, not a reason to stop.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the findings as JSON")
        parser.add_argument(
            "--skip", action="append", default=[], choices=list(EXAMINATIONS), metavar="NAME",
            help=f"leave out one of: {', '.join(EXAMINATIONS)}; may be repeated",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        findings = []
        for finding in _findings(options["skip"]):
            findings.append(finding)
            if not options["json"]:
                self._tell(finding)
        is_well = all(finding.status != "failed" for finding in findings)
        if options["json"]:
            report = {"ok": is_well, "findings": [asdict(finding) for finding in findings]}
            self.stdout.write(json.dumps(report, indent=2, ensure_ascii=False))
        if not is_well:
            sys.exit(1)

    def _tell(self, finding: Finding) -> None:
        styles = {"ok": self.style.SUCCESS, "warning": self.style.WARNING}
        style = styles.get(finding.status, self.style.ERROR)
        mark = MARKS[finding.status]
        shown = mark if finding.status == "skipped" else style(mark)
        self.stdout.write(f"{shown} {finding.name:<15} {finding.message}")
        if finding.hint:
            self.stdout.write(f"{'':<24}{finding.hint}")


def _findings(skipped: list[str]) -> Iterator[Finding]:
    for name, examination in EXAMINATIONS.items():
        if name not in skipped:
            yield from examine(name, examination)
