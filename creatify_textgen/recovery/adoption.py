"""Searches the remote's list for the generations of rows whose remote id we never learned.

A row takes a generation with the same request that was created when the row was sent. Rows with
equal requests are interchangeable. If only the texts are the same, `resemblance` decides. If
nothing is found, `evidence` judges: the row waits, or is sent once more. A stream is never sent
again. Invariant: no remote generation is adopted twice, and nothing is sent again without proof.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from creatify_textgen import clock, lifecycle
from creatify_textgen.conf import conf
from creatify_textgen.dispatch.snapshots import (
    ANSWER_LOST,
    FOUND_LATE,
    NEVER_ACCEPTED,
    Snapshot,
    apply_snapshot,
    next_poll_at,
    reschedule,
)
from creatify_textgen.dispatch.unaccepted import MAY_BE_CHARGED
from creatify_textgen.exceptions import StreamError, TransitionError
from creatify_textgen.lifecycle import Outcome
from creatify_textgen.models import Generation
from creatify_textgen.recovery.evidence import Finding, Reading, Skew, judge, skew_of
from creatify_textgen.recovery.matching import (
    NO_SKEW,
    as_received,
    distance,
    fingerprints_of,
    fits,
    may_become,
    sent_at,
)
from creatify_textgen.recovery.reading import known_rows, next_list_at, sent_of
from creatify_textgen.recovery.resemblance import pairs_alike
from creatify_textgen.recovery.taken import in_workspace, taken_ids
from creatify_textgen.remote import RemoteGeneration
from creatify_textgen.states import TERMINAL, TRANSITIONS, Cause, Mode, Status

__all__ = ["adopt", "adopt_from", "may_adopt", "settle_lost"]

# No proof is needed: a stream is never sent again. One list alone may have been read too early.
POLLS_FOR_A_STREAM = 2
LISTED_LATE = "It was closed without an answer, and found later: its answer and its cost are here."
STREAM_LISTED_WITHIN = timedelta(minutes=5)
"""The remote may list a stream only after its end, and may still write it after our connection was
cut. So within this time after its last sign of life, no number of polls proves anything."""


Adopt = Callable[[Generation, RemoteGeneration, datetime], bool]


def settle_lost(lost: Sequence[Generation], reading: Reading, *, now: datetime) -> None:
    """Adopt the generations found for these claimed rows, and decide about the other rows."""
    skew = skew_of(reading, now=clock.as_utc_range(now), monotonic=time.monotonic())
    # Equal requests come first: what only resembles a row may be another row's equal. If the
    # remote's clock is unknown, the minutes around each send have to be enough.
    left = adopt_from(lost, reading.candidates, now=now, skew=skew or NO_SKEW)
    for generation, remote in pairs_alike(left, reading, skew=skew):
        if adopt(generation, remote, now):
            left.remove(generation)
    streams = [row for row in left if row.mode == Mode.STREAM]
    _settle_absent_streams(streams, reading, now=now)
    _judge_all([row for row in left if row not in streams], reading, skew, now=now)


def adopt_from(
    lost: Sequence[Generation],
    candidates: Iterable[RemoteGeneration],
    *,
    now: datetime,
    skew: Skew = NO_SKEW,
    by: Adopt | None = None,
) -> list[Generation]:
    """Adopt for each row, the oldest first, the generation that was created nearest to its send.

    Rows with equal requests are interchangeable. But a row that takes a more distant generation may
    leave its own to a row that this one does not fit. Rows that wait come before streams that were
    given up. A generation that is nearer to a running stream is left to that stream. `by` is
    `adopt`, or `may_adopt` for a dry run. Returns the rows that found nothing.
    """
    free = _not_adopted(candidates)
    under_way = _streams_under_way(lost, now=now) if free else []
    left: list[Generation] = []
    for generation in sorted(lost, key=_turn):
        fitting = [
            remote
            for remote in free[generation.fingerprint]
            if fits(generation, remote, skew)
            and not _is_nearer_to(under_way, generation, remote, skew)
        ]
        fitting.sort(key=partial(distance, generation))
        # `adopt` refuses what another process has just taken. Then the next nearest is tried.
        adopted = next((one for one in fitting if (by or adopt)(generation, one, now)), None)
        if adopted is None:
            left.append(generation)
        else:
            for key in fingerprints_of(adopted):
                free[key].remove(adopted)
    return left


def _streams_under_way(lost: Sequence[Generation], *, now: datetime) -> list[Generation]:
    """Return running streams with equal requests: each will get its remote id at its end."""
    alike = Generation.objects.filter(
        in_workspace({row.account for row in lost}, {row.workspace for row in lost}),
        fingerprint__in={row.fingerprint for row in lost},
        mode=Mode.STREAM,
        status__in=[Status.SUBMITTING, Status.RUNNING],
        remote_id=None,
    ).exclude(pk__in=[row.pk for row in lost])
    return [row for row in alike.select_related("content") if row.is_pumped(now=now)]


def _is_nearer_to(
    others: Iterable[Generation], generation: Generation, remote: RemoteGeneration, skew: Skew
) -> bool:
    """Whether a listed generation fits this row, but is nearer to one of the others."""
    return any(
        other.fingerprint == generation.fingerprint
        and distance(other, remote) <= distance(generation, remote)
        and fits(generation, remote, skew)
        and fits(other, remote, skew)
        for other in others
    )


def _not_adopted(candidates: Iterable[RemoteGeneration]) -> dict[str, list[RemoteGeneration]]:
    by_id = {remote.id: remote for remote in candidates}
    taken = taken_ids(by_id)
    free: dict[str, list[RemoteGeneration]] = defaultdict(list)
    for remote_id, remote in by_id.items():
        if remote_id not in taken:
            for key in fingerprints_of(remote):
                free[key].append(remote)
    return free


def _turn(generation: Generation) -> tuple[bool, datetime]:
    # False sorts before True: rows that wait choose before rows that were given up.
    return generation.is_final, sent_at(generation)


def _others_wait(generation: Generation, remote: RemoteGeneration) -> bool:
    """Whether a row that was sent and is not final may wait for this generation."""
    ours = in_workspace([generation.account], [generation.workspace])
    alike = Generation.objects.filter(ours, fingerprint=generation.fingerprint, remote_id=None)
    sent = alike.exclude(status__in=[*TERMINAL, Status.QUEUED]).select_related("content")
    return any(fits(other, remote) for other in sent)


def adopt(generation: Generation, remote: RemoteGeneration, now: datetime) -> bool:
    """Give this generation to the row; False if that is impossible, such as if another has it."""
    snapshot = Snapshot(generation, as_received(generation, remote))
    try:
        if generation.is_final:
            return _complete(snapshot, now=now)
        if snapshot.target not in TRANSITIONS[Status(generation.status)]:
            # Expired here, but still under way there. Polls by its id will find its end.
            due_at = next_poll_at(generation, now=now)
            return lifecycle.keep_remote_id(generation, remote.id, remote.id_as_sent, due_at=due_at)
        return apply_snapshot(snapshot, cause=Cause.RECONCILE, now=now, detail="found in the list")
    except TransitionError:
        return False  # Another process adopted it a moment ago.


def may_adopt(generation: Generation, remote: RemoteGeneration, now: datetime) -> bool:
    """Whether `adopt` would return True; changes nothing."""
    snapshot = Snapshot(generation, as_received(generation, remote))
    return not generation.is_final or _may_complete(snapshot)


def _may_complete(snapshot: Snapshot) -> bool:
    # If a closed row took the generation of a row that waits, that row might be sent again.
    ended = snapshot.target in TERMINAL
    return ended and not _others_wait(snapshot.generation, snapshot.remote)


def _complete(snapshot: Snapshot, *, now: datetime) -> bool:
    if not _may_complete(snapshot):
        return False
    outcome = snapshot.outcome()
    was_closed = snapshot.generation.error_code in (NEVER_ACCEPTED, ANSWER_LOST)
    if was_closed:
        # A proof or a person was wrong. The reason of a stream stays, because it did break off.
        outcome = replace(outcome, error_code=FOUND_LATE, failed_reason=LISTED_LATE)
    return lifecycle.complete_failed(
        snapshot.generation.pk,
        outcome,
        cause=Cause.RECONCILE,
        now=now,
        detail="found in the list after it was given up",
        keeps_reason=not was_closed,
    )


def _judge_all(
    lost: Sequence[Generation], reading: Reading, skew: Skew | None, *, now: datetime
) -> None:
    known = known_rows(lost, reading) if lost else {}
    for generation in lost:
        sent = sent_of(generation)
        if sent is None or generation.polled_at is None:
            _wait(generation, now=now)
            continue
        # The time of the claim, after which the list was requested.
        asked_at = clock.as_utc_range(generation.polled_at)
        verdict = judge(sent, reading, known, skew=skew, asked_at=asked_at)
        if verdict.finding == Finding.PROVED and _settle_absent(generation, now=now):
            continue
        if verdict.finding == Finding.FOUND:
            # Both lists of a proof must be free of it, so the proof begins again.
            lifecycle.note_absence(generation, at=None)
        elif verdict.finding == Finding.ABSENT and generation.absent_since is None:
            served_at = reading.served_at and clock.to_stored(reading.served_at)
            lifecycle.note_absence(generation, at=now, served_at=served_at)
        _wait(generation, now=now)


def _settle_absent(generation: Generation, *, now: datetime) -> bool:
    """Act on a proof; False if the row still has to wait."""
    # Only the remote knows the URL of its webhook, so it has accepted what the list lacks.
    if generation.deliveries:
        return False
    if generation.status == Status.EXPIRED:
        # Nobody waits for it any more, so it is closed and not sent again.
        words = generation.content.failed_reason.removeprefix(MAY_BE_CHARGED).strip()
        outcome = Outcome(
            error_code=NEVER_ACCEPTED,
            failed_reason=f"The remote does not list it: nothing was created. {words}".strip(),
            credits_used=Decimal(),
        )
        _fail(generation, outcome, now=now)
        return True
    # If the list lies, each resend is paid for. So there is one at most, and then a person decides.
    if generation.resends or conf.resend_unconfirmed == "never":
        return False
    detail = "not in two lists: nothing was created"
    lifecycle.mark_absent(generation, now=now, detail=detail)
    return True


def _wait(generation: Generation, *, now: datetime) -> None:
    reschedule({generation: next_list_at(generation, now=now)}, now=now)


def _settle_absent_streams(
    streams: Sequence[Generation], reading: Reading, *, now: datetime
) -> None:
    under_way = _streams_under_way(streams, now=now) if streams else []
    for generation in streams:
        may_be_listed = not reading.is_whole or any(
            may_become(generation, remote) or _is_nearer_to(under_way, generation, remote, NO_SKEW)
            for remote in reading.candidates
            if generation.fingerprint in fingerprints_of(remote)
        )
        if may_be_listed:
            reschedule({generation: next_poll_at(generation, now=now)}, now=now)
        else:
            _settle_absent_stream(generation, now=now)


def _settle_absent_stream(generation: Generation, *, now: datetime) -> None:
    listed_until = clock.after(generation.updated_at, STREAM_LISTED_WITHIN.total_seconds())
    if generation.polls < POLLS_FOR_A_STREAM or now < listed_until:
        # It does not expire here, although it may be time: it fails within minutes.
        lifecycle.reschedule({generation: next_poll_at(generation, now=now)})
        return
    outcome = Outcome(
        error_code=StreamError.code,
        failed_reason="The stream broke off and the remote does not list its generation.",
    )
    _fail(generation, outcome, now=now)


def _fail(generation: Generation, outcome: Outcome, *, now: datetime) -> None:
    """Fail the row, unless a delivery has named its generation since: then the claim is gone."""
    lifecycle.mark_failed(
        generation.pk, cause=Cause.RECONCILE, now=now, outcome=outcome, claim=generation.claim
    )
