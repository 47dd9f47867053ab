"""`manage.py textgen_credits`: what is left and what was used, as on the admin's credits page."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from django.core.management.base import CommandError

from creatify_textgen import services
from creatify_textgen.conf import conf
from creatify_textgen.management.terminal import PlainCommand, day
from creatify_textgen.models import UsageTotal
from creatify_textgen.models.control_chars import show_control_chars
from creatify_textgen.services import CreditReport
from creatify_textgen.services.credits import LatestGenerations, UsageScope

__all__ = ["Command"]

BY = ("day", "model", "status", "owner")
"""What the sums may be listed by."""
COLUMNS = {"model": "model_name"}


class Command(PlainCommand):
    help = "Show the credits that are left, those used, and how long the balance lasts."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--account", help="a name from ACCOUNTS, also a former one; without it, all"
        )
        parser.add_argument("--since", type=day, help="a day in UTC: 2026-11-01")
        parser.add_argument("--until", type=day, help="a day in UTC, included")
        parser.add_argument("--by", choices=BY, default="model", help="what to list sums by")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_: Any, **options: Any) -> None:
        account = options["account"]
        if account is not None and account not in conf.accounts and not _has_sums(account):
            known = ", ".join(sorted(map(str, conf.accounts)))
            raise CommandError(f"ACCOUNTS has no account of this name. It has: {known}.")
        since, until = options["since"], options["until"]
        report = services.credits(account=account, since=since, until=until, by_owner=True)
        latest = UsageScope(account, None, since, until).latest()
        write = _as_json if options["json"] else _lines
        for line in write(report, latest, options["by"]):
            self.stdout.write(line)


def _has_sums(account: str) -> bool:
    """Whether an account that was removed from the settings was used before."""
    return UsageTotal.objects.filter(account=account).exists()


def _lines(report: CreditReport, latest: LatestGenerations, by: str) -> Iterator[str]:
    lasts = "" if report.lasts_days is None else f" (lasts {report.lasts_days:.0f} days)"
    yield f"Remaining: {_text(report.remaining)}{lasts}"
    yield f"Used: {_text(report.used)}; of {report.unknown} generations the cost is unknown"
    month = report.forecast
    yield f"This month: {_text(month.month_used)}, projected {month.month_projected:.4f}"
    yield f"Duration: {_seconds(latest.median_seconds, latest.p95_seconds)}"
    firsts = _seconds(latest.median_first_seconds, latest.p95_first_seconds)
    yield f"First text of a stream: {firsts}"
    yield ""
    yield f"{by:<40} {'credits':>20} {'generations':>12} {'unknown':>8}"
    for row in _rows(report, by):
        # `reconcile --fix` imports names of models from the remote, which may contain anything.
        name = show_control_chars(str(row[COLUMNS.get(by, by)]))
        used, count = _text(row["credits_used"]), row["generations"]
        yield f"{name:<40} {used:>20} {count:>12} {row['credits_unknown']:>8}"


def _as_json(report: CreditReport, latest: LatestGenerations, by: str) -> Iterator[str]:
    names = ("remaining", "lasts_days", "used", "unknown")
    figures = {name: getattr(report, name) for name in names}
    month = {"used_this_month": report.forecast.month_used}
    sums = {f"by_{by}": _rows(report, by)}
    durations = {"durations": {"sample": latest.count, **latest.durations()}}
    yield json.dumps({**figures, **month, **sums, **durations}, default=_json_value)


def _rows(report: CreditReport, by: str) -> list[dict[str, Any]]:
    # Days keep their order in time. Everything else begins with what costs most.
    rows: list[dict[str, Any]] = getattr(report, f"by_{by}")
    return rows if by == "day" else sorted(rows, key=lambda r: r["credits_used"], reverse=True)


def _seconds(median: float | None, p95: float | None) -> str:
    if median is None or p95 is None:
        return "unknown"
    return f"median {median:.1f} s, 95 of 100 at most {p95:.1f} s"


def _text(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"{amount.normalize():f}"


def _json_value(value: Any) -> str:
    # Amounts are strings: most readers of JSON make a binary float of a number.
    return _text(value) if isinstance(value, Decimal) else str(value)
