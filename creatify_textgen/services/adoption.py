"""Finds rows whose remote id we never learnt in the remote's list.

A row is matched by the fingerprint of its request within a time window; two equal requests are
interchangeable. Invariant: no remote generation is adopted twice, and nothing is sent again
unless a list that was read to its end proves that nothing was created.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from creatify_textgen import gateway, lifecycle
from creatify_textgen.conf import conf
from creatify_textgen.exceptions import StreamError, TransitionError
from creatify_textgen.lifecycle import Outcome
from creatify_textgen.models import Generation
from creatify_textgen.remote import RemoteGeneration
from creatify_textgen.services.matching import (
    EARLIER,
    as_heard,
    distance,
    fingerprint_of,
    fits,
    may_become,
    sent_at,
)
from creatify_textgen.services.snapshots import Sighting, apply_sighting, next_poll_at, wait
from creatify_textgen.services.streaming.checkpoints import is_pumped
from creatify_textgen.states import TERMINAL, TRANSITIONS, Cause, Mode, Status

__all__ = ["adopt_from", "read_candidates", "settle_lost"]

LOOKS_FOR_A_STREAM = 2
LISTED_WITHIN = timedelta(minutes=5)
"""A stream may be listed only once it has ended, and the remote may go on writing when its reader
is cut off: so few looks prove nothing, nor do many so soon after its last sign of life."""


def read_candidates(account: str, lost: Sequence[Generation]) -> list[RemoteGeneration]:
    """Read the remote's list to its end and keep what may be one of these rows.

    Touches no database. Raises: RemoteError where the list could not be read whole.
    """
    wanted = {generation.fingerprint for generation in lost}
    since = min(sent_at(generation) for generation in lost) - EARLIER
    return [
        remote
        for remote in gateway.client_for(account).list()
        if (remote.created_at is None or remote.created_at >= since)
        and fingerprint_of(remote) in wanted
    ]


def settle_lost(
    lost: Sequence[Generation], candidates: Iterable[RemoteGeneration], *, now: datetime
) -> None:
    """Adopt what was found for these claimed rows, and decide on what is absent."""
    listed = list(candidates)
    under_way = _streams_under_way(lost, now=now) if listed else []
    for generation in _adopt_all(lost, listed, under_way, now=now):
        if any(
            may_become(generation, remote) or _is_nearer_to(under_way, generation, remote)
            for remote in listed
        ):
            wait({generation: next_poll_at(generation, now=now)}, now=now)
        else:
            _settle_absent(generation, now=now)


def adopt_from(
    lost: Sequence[Generation], candidates: Iterable[RemoteGeneration], *, now: datetime
) -> list[Generation]:
    """Adopt for each row, the oldest first, what was created nearest to its send.

    Equal requests are interchangeable, but a row that takes what is further off may leave its own
    to rows that it does not fit. Rows that wait come before streams that were given up; what is
    nearer to a stream under way is left to it. Returns the rows left over.
    """
    return _adopt_all(lost, candidates, _streams_under_way(lost, now=now), now=now)


def _adopt_all(
    lost: Sequence[Generation],
    candidates: Iterable[RemoteGeneration],
    under_way: Sequence[Generation],
    *,
    now: datetime,
) -> list[Generation]:
    free = _not_adopted(candidates)
    left: list[Generation] = []
    for generation in sorted(lost, key=_turn):
        fitting = [
            remote
            for remote in free[generation.fingerprint]
            if fits(generation, remote) and not _is_nearer_to(under_way, generation, remote)
        ]
        fitting.sort(key=partial(distance, generation))
        adopted = next((one for one in fitting if _adopt(generation, one, now)), None)
        if adopted is None:
            left.append(generation)
        else:
            free[generation.fingerprint].remove(adopted)
    return left


def _streams_under_way(lost: Sequence[Generation], *, now: datetime) -> list[Generation]:
    """Return streams of equal requests whose pumps live: each is told its remote id at its end."""
    alike = Generation.objects.filter(
        account__in={row.account for row in lost},
        fingerprint__in={row.fingerprint for row in lost},
        mode=Mode.STREAM,
        status__in=[Status.SUBMITTING, Status.RUNNING],
        remote_id=None,
    ).exclude(pk__in=[row.pk for row in lost])
    return [row for row in alike.select_related("content") if is_pumped(row, now=now)]


def _is_nearer_to(
    others: Iterable[Generation], generation: Generation, remote: RemoteGeneration
) -> bool:
    """Whether a generation in the list may be this row's, and is rather that of one of others."""
    return any(
        other.fingerprint == generation.fingerprint
        and distance(other, remote) <= distance(generation, remote)
        and fits(generation, remote)
        and fits(other, remote)
        for other in others
    )


def _not_adopted(candidates: Iterable[RemoteGeneration]) -> dict[str, list[RemoteGeneration]]:
    by_id = {remote.id: remote for remote in candidates}
    taken = set(Generation.objects.filter(remote_id__in=by_id).values_list("remote_id", flat=True))
    free: dict[str, list[RemoteGeneration]] = defaultdict(list)
    for remote_id, remote in by_id.items():
        if remote_id not in taken:
            free[fingerprint_of(remote)].append(remote)
    return free


def _turn(generation: Generation) -> tuple[bool, datetime]:
    return generation.is_final, sent_at(generation)


def _others_wait(generation: Generation, remote: RemoteGeneration) -> bool:
    """Whether this may be what a row that was sent and is not final waits for."""
    alike = Generation.objects.filter(
        account=generation.account, fingerprint=generation.fingerprint, remote_id=None
    )
    sent = alike.exclude(status__in=[*TERMINAL, Status.QUEUED]).select_related("content")
    return any(fits(other, remote) for other in sent)


def _adopt(generation: Generation, remote: RemoteGeneration, now: datetime) -> bool:
    sighting = Sighting(generation, as_heard(generation, remote))
    try:
        if generation.is_final:
            return _complete(sighting, now=now)
        if sighting.target not in TRANSITIONS[Status(generation.status)]:
            # Expired here and still under way there: it is not absent, and ends by its id.
            look_at = next_poll_at(generation, now=now)
            return lifecycle.keep_remote_id(generation, remote.id, look_at=look_at)
        return apply_sighting(sighting, cause=Cause.RECONCILE, now=now, detail="found in the list")
    except TransitionError:
        return False  # Another process adopted it a moment ago.


def _complete(sighting: Sighting, *, now: datetime) -> bool:
    if sighting.target not in TERMINAL or _others_wait(sighting.generation, sighting.remote):
        return False
    return lifecycle.complete_failed(
        sighting.generation.pk,
        sighting.outcome(),
        cause=Cause.RECONCILE,
        now=now,
        detail="found in the list after it was given up",
    )


def _settle_absent(generation: Generation, *, now: datetime) -> None:
    if generation.mode == Mode.STREAM:
        _settle_absent_stream(generation, now=now)
    elif conf.resend_unconfirmed == "if_absent" and generation.status == Status.UNCONFIRMED:
        lifecycle.mark_queued(
            generation.pk,
            cause=Cause.RECONCILE,
            now=now,
            retry_at=now,
            detail="not in the list: nothing was created",
            attempt=generation.attempts,
            claim=generation.claim,
        )
    elif generation.status == Status.EXPIRED:
        outcome = Outcome(
            error_code="never_accepted",
            failed_reason="The remote does not list it: nothing was created.",
            credits_used=Decimal(),
        )
        _fail(generation, outcome, now=now)
    else:
        wait({generation: next_poll_at(generation, now=now)}, now=now)


def _settle_absent_stream(generation: Generation, *, now: datetime) -> None:
    if generation.checks < LOOKS_FOR_A_STREAM or now < generation.updated_at + LISTED_WITHIN:
        lifecycle.postpone({generation: next_poll_at(generation, now=now)})
        return
    outcome = Outcome(
        error_code=StreamError.code,
        failed_reason="The stream broke off and the remote does not list its generation.",
    )
    _fail(generation, outcome, now=now)


def _fail(generation: Generation, outcome: Outcome, *, now: datetime) -> None:
    """What was absent a moment ago may have been named by a delivery since: then it stays."""
    lifecycle.mark_failed(
        generation.pk, cause=Cause.RECONCILE, now=now, outcome=outcome, claim=generation.claim
    )
