"""`manage.py textgen_reconcile`: compares the remote's list with our rows and prints a report.

With `--settle` it writes what a person has found out about one generation. Section "What is not
guaranteed" of docs/explanation/reliability.md says when that is needed.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError

from creatify_textgen import clock, services
from creatify_textgen.exceptions import RemoteError, TextgenError
from creatify_textgen.management.terminal import PlainCommand, days, format_time
from creatify_textgen.models import Generation
from creatify_textgen.services import BalanceAudit, ReconcileReport
from creatify_textgen.states import Decision

__all__ = ["Command"]

KINDS = {
    "adopted": "rows whose remote id was found",
    "remote_only": "only at the remote",
    "ours_only": "only here",
    "different_credits": "with other credits",
    "different_status": "with another status",
    "missing_answer": "that ended without the answer that the remote has",
}
UNDECIDED = (
    "that may have been charged, cost unknown; find out and decide with --settle ID --as "
    "DECISION (docs/explanation/reliability.md):"
)


class Command(PlainCommand):
    help = "Compare the remote's list with our rows. Spends no credits. Exits 1 on differences."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--account", default="default", help="a name from ACCOUNTS")
        parser.add_argument("--fix", action="store_true", help="correct what is certain")
        parser.add_argument("--days", type=days, help="ignore what is older than this many days")
        parser.add_argument("--json", action="store_true", help="print the report as JSON")
        settle = parser.add_argument_group("decide about one that may have been charged")
        settle.add_argument("--settle", metavar="ID", help="the generation; nothing is compared")
        settle.add_argument("--as", dest="decision", choices=list(Decision), help="what it was")
        settle.add_argument("--credits", help="what a charged one cost; unknown if it is left out")
        settle.add_argument("--remote-id", default="", help="the id of one found at the remote")

    def handle(self, *_: Any, **options: Any) -> None:
        if options["settle"]:
            self._settle(**options)
            return
        if options["decision"] or options["credits"] or options["remote_id"]:
            raise CommandError("--as, --credits and --remote-id belong to --settle ID.")
        since = clock.now() - timedelta(days=options["days"]) if options["days"] else None
        try:
            report = services.reconcile(account=options["account"], fix=options["fix"], since=since)
        except RemoteError as error:
            raise CommandError(f"The list could not be read: {error}") from error
        self._print(report, as_json=options["json"])
        # For cron and monitoring. Not CommandError: the report on stdout says what differs.
        if not report.is_clean and not options["fix"]:
            raise SystemExit(1)

    def _settle(self, *, settle: str, decision: str | None, **options: Any) -> None:
        if decision is None:
            raise CommandError(f"Say what it was: --as {', '.join(Decision)}.")
        try:
            row = services.settle(
                Generation.objects.get(pk=settle),
                decision=decision,
                credits_used=options["credits"],
                remote_id=options["remote_id"],
            )
        except (Generation.DoesNotExist, ValidationError):
            # Django raises ValidationError for text that is no UUID.
            raise CommandError(f"There is no generation {settle!r}.") from None
        except TextgenError as error:
            raise CommandError(str(error)) from error
        # With `f`, as `str` writes a small Decimal as 5E-7.
        cost = "unknown" if row.credits_used is None else f"{row.credits_used:f}"
        self.stdout.write(f"{row.pk} is {row.status}, credits: {cost}")

    def _print(self, report: ReconcileReport, *, as_json: bool) -> None:
        if as_json:
            audit = report.balance
            # The audit holds amounts and times, which json cannot write.
            found = {**asdict(replace(report, balance=None)), "balance": audit and _plain(audit)}
            self.stdout.write(json.dumps(found))
            return
        self.stdout.write(f"{report.remote_total} at the remote, {report.matched} matched")
        if report.unreadable:
            self.stdout.write(f"{report.unreadable} at the remote that cannot be read")
        for name, meaning in KINDS.items():
            findings = getattr(report, name)
            if findings.count:
                self.stdout.write(f"{findings.count} {meaning}: {', '.join(findings.examples)}")
        if report.may_have_been_charged.count:
            self.stdout.write(f"{report.may_have_been_charged.count} {UNDECIDED}")
            self._print_undecided(report.may_have_been_charged.examples)
        if report.balance is not None:
            self.stdout.write(f"Since {format_time(report.balance.before.at)}, {report.balance}")
        if report.fixed:
            self.stdout.write(f"{report.fixed} rows fixed")

    def _print_undecided(self, ids: Sequence[str]) -> None:
        for row in Generation.objects.filter(pk__in=ids).order_by("first_submitted_at"):
            sent_at = row.first_submitted_at or row.created_at
            self.stdout.write(f"  {row.pk}  sent {format_time(sent_at)}  {row.model_name}")


def _plain(audit: BalanceAudit) -> dict[str, Any]:
    amounts = {
        name: f"{getattr(audit, name).normalize():f}" for name in ("moved", "used", "unexplained")
    }
    since = clock.as_utc_range(audit.before.at)[0].isoformat()
    return {"since": since, **amounts, "may_even_out": audit.may_even_out}
