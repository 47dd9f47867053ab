"""Asks every rule that may refuse a request, the cheapest first.

Invariant: a request is counted in the transaction that saves it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import IntegrityError
from django.db.models import Value

from creatify_textgen.control.budgets import ExhaustedError, Reservations, refusal_of
from creatify_textgen.control.limits import (
    check_request,
    count_open,
    count_refresh,
    counting,
    counting_uploads,
)
from creatify_textgen.control.pause import pauses_of, refuse_if_paused
from creatify_textgen.control.policy import ask_policy
from creatify_textgen.intake import Intake
from creatify_textgen.intake.owners import refuse_deleted
from creatify_textgen.intake.staging import StagedMedia
from creatify_textgen.models import Budget, Generation
from creatify_textgen.states import Mode

__all__ = ["admit_refresh", "admitted", "admitted_uploads"]

PAUSE, BUDGET = "pause", "budget"
DOORS = {Mode.ASYNC: "submit", Mode.SYNC: "generate", Mode.STREAM: "stream"}


@contextmanager
def admitted(
    intakes: Sequence[Intake],
    generations: Sequence[Generation],
    *,
    mode: Mode,
    now: datetime,
    is_retry: bool = False,
) -> Iterator[None]:
    """Ask whether all of these may be saved, and run the block in the transaction that counts them.

    The block saves `generations`, one per intake. Raises: PolicyRefusal, and then the block did not
    run; RequestError if an owner was deleted meanwhile.
    """
    accounts = {intake.account for intake in intakes}
    rules = _rules_in_force(accounts, now=now)
    for account in accounts if PAUSE in rules else ():
        refuse_if_paused(account, mode=mode, now=now)
    # Before the transaction, which locks a row of the user: a host's rule may take long.
    for intake in intakes:
        check_request(intake)
        ask_policy(intake.owner, intake, door="retry" if is_retry else DOORS[mode])
    # The requests of one user in a batch are counted together, by one lock and one query.
    wanted = Counter(intake.owner_id for intake in intakes if intake.owner_id is not None)
    reservations = Reservations(now)
    if BUDGET in rules:
        reservations = Reservations.plan(intakes, generations, now=now)
    try:
        with counting(wanted):
            for owner_id, count in wanted.items():
                count_open(owner_id, mode=mode, count=count)
            with reservations.reserved():
                yield
    except ExhaustedError as error:
        # After the transaction, whose rollback would undo that it was reported.
        raise refusal_of(error.period, now=now) from None
    except IntegrityError:
        # The owner may have been deleted meanwhile. The caller handles a key that was just saved.
        refuse_deleted(wanted)
        raise


def _rules_in_force(accounts: Iterable[str], *, now: datetime) -> set[str]:
    """Return whether there are pauses of these accounts, and any budgets. One statement.

    Usually there are none, and then no other statement reads them.
    """
    pauses = pauses_of(accounts, now=now).order_by().annotate(rule=Value(PAUSE))
    budgets = Budget.objects.annotate(rule=Value(BUDGET))
    return {rule for (rule,) in pauses.values_list("rule").union(budgets.values_list("rule"))}


@contextmanager
def admitted_uploads(owner: Any, staged: Sequence[StagedMedia], *, now: datetime) -> Iterator[None]:
    """Ask whether this user may store these files, and run the block, which stores them.

    Raises: PolicyRefusal, and then the block did not run; RequestError if the owner was deleted
    meanwhile.
    """
    for one in staged:
        ask_policy(owner, one, door="upload")
    if owner is None:
        yield
        return
    try:
        with counting_uploads(owner.pk, staged=staged, now=now):
            yield
    except IntegrityError:
        refuse_deleted({owner.pk})
        raise


def admit_refresh(user: Any, generation: Generation, *, now: datetime) -> None:
    """Ask whether this user may refresh this generation now, and count the refresh.

    Raises: PolicyRefusal.
    """
    ask_policy(user, generation, door="refresh")
    if user is not None:
        count_refresh(user.pk, now=now)
