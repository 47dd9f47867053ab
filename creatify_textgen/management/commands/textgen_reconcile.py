"""`manage.py textgen_reconcile`: the remote's list against our rows, as a report."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from creatify_textgen import services
from creatify_textgen.exceptions import RemoteError
from creatify_textgen.services import ReconcileReport

__all__ = ["Command"]

KINDS = {
    "adopted": "rows whose remote id was found",
    "remote_only": "only at the remote",
    "ours_only": "only here",
    "different_credits": "with other credits",
    "different_status": "with another status",
}


class Command(BaseCommand):
    help = "Compare the remote's list with our rows; free at the remote. Exits 1 on differences."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--account", default="default", help="a name from ACCOUNTS")
        parser.add_argument("--fix", action="store_true", help="apply what is certain")
        parser.add_argument("--days", type=int, help="leave out what is older")
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, *_: Any, **options: Any) -> None:
        days = options["days"]
        since = timezone.now() - timedelta(days=days) if days else None
        try:
            report = services.reconcile(account=options["account"], fix=options["fix"], since=since)
        except RemoteError as error:
            raise CommandError(f"The list could not be read: {error}") from error
        self._print(report, as_json=options["json"])
        if not report.is_clean and not options["fix"]:
            raise SystemExit(1)

    def _print(self, report: ReconcileReport, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(asdict(report)))
            return
        self.stdout.write(f"{report.remote_total} at the remote, {report.matched} matched")
        for name, meaning in KINDS.items():
            findings = getattr(report, name)
            if findings.count:
                self.stdout.write(f"{findings.count} {meaning}: {', '.join(findings.examples)}")
        if report.fixed:
            self.stdout.write(f"{report.fixed} rows fixed")
