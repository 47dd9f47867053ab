"""`manage.py textgen_doctor`: checks that everything that a generation needs works.

Prints the findings of the examinations. The exit code is 1 if any of them failed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from creatify_textgen.management.examination import EXAMINATIONS, NEEDS, Finding, examine
from creatify_textgen.management.terminal import PlainCommand

MARKS = {"ok": "ok     ", "warning": "WARNING", "failed": "FAILED ", "skipped": "skipped"}


class Command(PlainCommand):
    help = (
        "Check credentials, database, cache, storage, streams, broker, workers, webhook URL and "
        "sweep against the real services. Spends no credits."
    )
    # A wrong setting is a finding here and must not stop the command.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the findings as JSON")
        parser.add_argument(
            "--skip", action="append", default=[], choices=list(EXAMINATIONS), metavar="NAME",
            help=f"skip one of: {', '.join(EXAMINATIONS)}; may be repeated",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        findings = []
        for finding in _findings(options["skip"]):
            # Each line is printed at once: something that hangs needs seconds to fail.
            findings.append(finding)
            if not options["json"]:
                self._print(finding)
        is_healthy = all(finding.status != "failed" for finding in findings)
        if options["json"]:
            report = {"ok": is_healthy, "findings": [asdict(finding) for finding in findings]}
            self.stdout.write(json.dumps(report, indent=2, ensure_ascii=False))
        if not is_healthy:
            sys.exit(1)

    def _print(self, finding: Finding) -> None:
        styles = {"ok": self.style.SUCCESS, "warning": self.style.WARNING}
        style = styles.get(finding.status, self.style.ERROR)
        mark = MARKS[finding.status]
        self.stdout.write(f"{mark} ", None if finding.status == "skipped" else style, ending="")
        self.stdout.write(f"{finding.name:<15} {finding.message}")
        if finding.hint:
            self.stdout.write(f"{'':<24}{finding.hint}")


def _findings(skipped: list[str]) -> Iterator[Finding]:
    failed: set[str] = set()
    for name, examination in EXAMINATIONS.items():
        if name in skipped:
            continue
        needed = NEEDS.get(name, "")
        if needed in failed:
            # It would fail for the same reason, after the same wait.
            yield Finding(name, "skipped", f"Needs the {needed}, which failed.")
            continue
        for finding in examine(name, examination):
            if finding.status == "failed":
                failed.add(name)
            yield finding
