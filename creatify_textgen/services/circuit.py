"""Leaves a remote alone while it is down. The state is shared through the database.

Invariant: while the circuit is open, one call at a time may try whether the remote is back.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import F, OuterRef, QuerySet

from creatify_textgen.models import Circuit, Generation

__all__ = [
    "calls_allowed",
    "may_send",
    "open_until",
    "report_failure",
    "report_success",
    "with_open_until",
]

FAILURES_TO_OPEN = 5
"""Failures in a row after which the remote counts as down."""
SHORTEST, LONGEST = 5, 300
"""Seconds between two tries: doubled from the first up to the second."""


def open_until(account: str) -> datetime | None:
    """Return when the remote may be tried again, or None where nothing is the matter."""
    return Circuit.objects.filter(account=account).values_list("open_until", flat=True).first()


def calls_allowed(account: str, *, now: datetime) -> int | None:
    """Return how many calls may be made now: None for any number, 0, or 1 for a try.

    Where a try is due, the first to ask gets it alone.
    """
    return _calls_until(open_until(account), account, now=now)


def with_open_until(rows: QuerySet[Generation], *, name: str) -> QuerySet[Generation]:
    """Have each row read carry under this name what `may_send` asks for: a statement less."""
    circuits = Circuit.objects.filter(account=OuterRef("account"))
    return rows.annotate(**{name: circuits.values("open_until")})


def may_send(account: str, *, open_until: datetime | None, now: datetime) -> bool:
    """Whether a row that was read this moment, `with_open_until`, may be sent now."""
    return _calls_until(open_until, account, now=now) != 0


def _calls_until(until: datetime | None, account: str, *, now: datetime) -> int | None:
    if until is None:
        return None
    if until > now:
        return 0
    tries = Circuit.objects.filter(account=account, open_until=until)
    return tries.update(open_until=now + timedelta(seconds=SHORTEST))


def report_success(account: str) -> None:
    """The remote answered: close the circuit."""
    Circuit.objects.filter(account=account).exclude(failures=0, open_until=None).update(
        failures=0, open_until=None
    )


def report_failure(account: str, *, now: datetime, times: int = 1) -> None:
    """The remote did not answer, or said that it is down, so many times in a row."""
    circuits = Circuit.objects.filter(account=account)
    if not circuits.update(failures=F("failures") + times):
        Circuit.objects.get_or_create(account=account, defaults={"failures": times})
    failures = circuits.values_list("failures", flat=True).get()
    if failures >= FAILURES_TO_OPEN:
        doublings = min(failures - FAILURES_TO_OPEN, 10)
        wait = timedelta(seconds=min(SHORTEST * 2**doublings, LONGEST))
        circuits.update(open_until=now + wait)
