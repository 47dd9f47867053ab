"""The circuit: stops calls to a remote that is down. All processes share it in the database.

Invariant: while the circuit is open, one call at a time may test whether the remote is back.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db.models import OuterRef, QuerySet

from creatify_textgen import databases
from creatify_textgen.exceptions import ContractError, RemoteError, RemoteUnavailableError
from creatify_textgen.logs import REMOTE, warn_of
from creatify_textgen.models import Circuit, Generation, increased

__all__ = [
    "MAY_BE_HELD",
    "calls_allowed",
    "failing_circuits",
    "may_be_held",
    "may_send",
    "open_until",
    "report",
    "report_failure",
    "report_success",
    "try_again_at",
    "warn_of_refusal",
    "with_open_until",
]

MAY_BE_HELD = "may_be_held"
"""The name of an annotation of rows: whether a pause or an outage may concern them."""
FAILURES_TO_OPEN = 5
"""Failures in a row, of all processes, after which the remote counts as down."""
SHORTEST, LONGEST = 5, 300
"""Seconds between two tests: the first, doubled each time up to the second."""
SHORTEST_WAIT = timedelta(seconds=1)
REFUSALS_TO_LOG = {401, 402, 403, 429}
"""Answers that concern every request of an account: its keys, its credits, its rate."""


def open_until(account: str) -> datetime | None:
    """Return when the remote may be tried again, or None if the circuit is closed."""
    return Circuit.objects.filter(account=account).values_list("open_until", flat=True).first()


def failing_circuits(account: Any) -> QuerySet[Circuit]:
    """Return the circuit of an account if it is open, or if the latest call of it failed."""
    return Circuit.objects.filter(account=account).exclude(failures=0, open_until=None)


def may_be_held(generation: Generation) -> bool:
    """Whether a pause or an outage may concern it; yes if the row was read without that."""
    return bool(vars(generation).get(MAY_BE_HELD, True))


def calls_allowed(account: str, *, now: datetime) -> int | None:
    """Return how many calls are allowed now: None for any number, 0, or 1 for a test.

    If a test is due, only the first process that asks may make it.
    """
    return _calls_until(open_until(account), account, now=now)


def with_open_until(rows: QuerySet[Generation], *, name: str) -> QuerySet[Generation]:
    """Add the `open_until` that `may_send` needs to each row of a query: saves a statement."""
    circuits = Circuit.objects.filter(account=OuterRef("account"))
    return rows.annotate(**{name: circuits.values("open_until")})


def may_send(account: str, *, open_until: datetime | None, now: datetime) -> bool:
    """Return whether a row that was just read `with_open_until` may be sent now."""
    return _calls_until(open_until, account, now=now) != 0


def _calls_until(until: datetime | None, account: str, *, now: datetime) -> int | None:
    if until is None:
        return None
    if until > now:
        return 0
    # The process whose UPDATE finds the old time makes the test. The new time lets another one test
    # if this process dies before it reports.
    tries = Circuit.objects.filter(account=account, open_until=until)
    return tries.update(open_until=now + timedelta(seconds=SHORTEST))


def try_again_at(open_until: datetime | None, *, now: datetime) -> datetime:
    """Return when to ask again for a call that was not allowed: a second from now at least."""
    return max(open_until or now, now + SHORTEST_WAIT)


def report(account: str, answers: Iterable[Any], *, now: datetime) -> None:
    """Count the results of these calls: answers, or the exceptions that were raised.

    One answer of any kind closes the circuit. If there is none, each outage counts. An error from
    before the call, such as a file that cannot be read, does not count.
    """
    results = list(answers)
    for answer in results:
        warn_of_refusal(account, answer)
    if any(map(_is_answer, results)):
        report_success(account)
    elif outages := sum(map(_is_outage, results)):
        report_failure(account, now=now, times=outages)


def warn_of_refusal(account: str, answer: Any) -> None:
    """Log a refusal that concerns the whole account, once for each status."""
    status = getattr(answer, "status", None)
    if isinstance(answer, RemoteError) and status in REFUSALS_TO_LOG:
        # Without `reason`, in which the remote may quote a prompt. The row has it.
        warn_of(("refusal", account, status), REMOTE, "Account %r is refused: %s", account, answer)


def _is_outage(answer: Any) -> bool:
    return isinstance(answer, RemoteUnavailableError)


def _is_answer(answer: Any) -> bool:
    if isinstance(answer, RemoteError):
        has_answered = answer.status is not None or isinstance(answer, ContractError)
        return has_answered and not _is_outage(answer)
    return not isinstance(answer, Exception)


def report_success(account: str) -> None:
    """Close the circuit: the remote answered."""
    databases.after_commit(partial(_close, account))


def _close(account: str) -> None:
    shut = failing_circuits(account)
    found = shut.values_list("open_until").first()
    # Only one process logs that the remote answers again.
    if found and shut.update(failures=0, open_until=None) and found[0] is not None:
        REMOTE.warning("The remote answers account %r again; its requests go on.", account)


def report_failure(account: str, *, now: datetime, times: int = 1) -> None:
    """Count outages in a row, and open the circuit if there were too many."""
    databases.after_commit(partial(_count_failures, account, now=now, times=times))


def _count_failures(account: str, *, now: datetime, times: int) -> None:
    circuits = Circuit.objects.filter(account=account)
    # If another process creates the row first, `times` is not added. One failure less is harmless.
    if not circuits.update(failures=increased(Circuit, "failures", by=times)):
        Circuit.objects.get_or_create(account=account, defaults={"failures": times})
    failures = circuits.values_list("failures", flat=True).get()
    if failures >= FAILURES_TO_OPEN:
        doublings = min(failures - FAILURES_TO_OPEN, 10)
        wait = timedelta(seconds=min(SHORTEST * 2**doublings, LONGEST))
        # Not if another process has just closed it.
        failing = circuits.filter(failures__gte=FAILURES_TO_OPEN)
        if failing.filter(open_until=None).update(open_until=now + wait):
            REMOTE.warning(
                "The remote does not answer account %r (%d failures in a row): its requests wait, "
                "and one at a time tests whether it answers.",
                account,
                failures,
            )
        else:
            # It is open: the call that failed was its test, or began before it opened.
            failing.update(open_until=now + wait)
