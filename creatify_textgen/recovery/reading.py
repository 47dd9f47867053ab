"""Reads the remote's list for lost rows, and our own rows that show whether the list is complete.

Invariant: of a list, not much more is kept than its generations since the window began.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count

from django.db.models import Q

from creatify_textgen import clock, gateway
from creatify_textgen.dispatch.snapshots import next_poll_at
from creatify_textgen.models import Generation
from creatify_textgen.recovery.evidence import MOST_SKEW, KnownRow, Listed, Reading, Sent
from creatify_textgen.recovery.matching import (
    earliest,
    fingerprints_of,
    latest,
    sent_window,
    texts_of,
    texts_of_row,
)
from creatify_textgen.recovery.taken import deleted_ids
from creatify_textgen.remote import RemoteGeneration
from creatify_textgen.states import Mode, Status

__all__ = ["known_rows", "next_list_at", "read_list", "sent_of"]

OLDER = 20
"""Generations kept from before the window: any of them that is ours shows how far the list goes."""
LISTS_APART = timedelta(seconds=5)
"""The list of an account is read at most this often: all its rows wait for the same time."""
LONGEST_APART = 300.0
"""Seconds; a proof of absence needs lists ten minutes apart."""
BATCH = 500
"""Ids in one statement. Databases limit the number of its parameters."""
QUEUED_FOR = timedelta(days=1)
"""Rows that waited longer than this for their send are not needed as witnesses."""


def read_list(account: str, lost: Sequence[Generation]) -> Reading:
    """Read the remote's list for these rows, whose contents must be loaded.

    Touches no database. Raises: RemoteError if nothing of the list could be read.
    """
    kept = _Kept(lost)
    workspace = gateway.workspace_of(account)
    listing = gateway.client_for(account).list(kept.take)
    if workspace != gateway.workspace_of(account):
        workspace = ""  # The keys were changed while it was read.
    return Reading(
        listing.generations,
        tuple(kept.listed()),
        is_whole=listing.is_whole,
        clocks=tuple(listing.clocks),
        pages=listing.pages,
        workspace=workspace,
    )


class _Kept:
    """The part of the list since the rows' first send, and a little from before it."""

    def __init__(self, lost: Sequence[Generation]) -> None:
        self._prints = {generation.fingerprint for generation in lost}
        self._texts = {texts_of_row(generation) for generation in lost}
        self._since = min(sent_window(generation)[0] for generation in lost) - MOST_SKEW
        self._listed: list[Listed] = []
        self._older: list[tuple[datetime, int, RemoteGeneration]] = []
        self._number = count()

    def take(self, remote: RemoteGeneration) -> bool:
        """Keep one generation; True if it may belong to a lost row."""
        if remote.created_at is not None and remote.created_at < self._since:
            # A heap keeps the newest, because the order of the list is unknown (contract, 11.20).
            # The number decides between equal times: generations cannot be compared.
            heapq.heappush(self._older, (remote.created_at, next(self._number), remote))
            if len(self._older) > OLDER:
                heapq.heappop(self._older)
            return False
        one = _listed(remote)
        self._listed.append(one)
        asked = {one.fingerprint, *one.older_fingerprints}
        return not asked.isdisjoint(self._prints) or texts_of(remote) in self._texts

    def listed(self) -> Iterator[Listed]:
        yield from self._listed
        for _, _, remote in self._older:
            yield _listed(remote)


def known_rows(lost: Iterable[Generation], reading: Reading) -> dict[str, KnownRow]:
    """Return our rows that the list names, and those that it should name, by remote id.

    A deleted row only explains its generation: its request is not known any more.
    """
    lost = list(lost)
    begins = clock.stored_since(min(sent_window(generation)[0] for generation in lost))
    sent_since = Q(
        workspace__in={generation.workspace for generation in lost},
        remote_id__isnull=False,
        submitted_at__gte=begins,
        # For its index: `submitted_at` has none.
        created_at__gte=begins - QUEUED_FOR,
    )
    ids = [one.remote_id for one in reading.listed]
    batches = [ids[at : at + BATCH] for at in range(0, len(ids), BATCH)]
    deleted = {
        remote_id: KnownRow(remote_id, "", "", sent_at=None)
        for batch in batches
        for remote_id in deleted_ids(batch)
    }
    named = (Q(remote_id__in=batch) for batch in batches)
    rows = {row.remote_id: row for which in (sent_since, *named) for row in _known(which)}
    return deleted | rows


def sent_of(generation: Generation) -> Sent | None:
    """Return what a row knows of its sends; None if this is too little for a proof."""
    first, until = generation.first_submitted_at, generation.sent_until
    if first is None or until is None or generation.polled_at is None:
        return None
    since = generation.absent_since
    served_at = generation.absent_served_at
    return Sent(
        earliest(first),
        latest(until),
        generation.workspace,
        generation.fingerprint,
        absent_since=None if since is None else latest(since),
        absent_served_at=None if served_at is None else latest(served_at),
    )


def next_list_at(generation: Generation, *, now: datetime) -> datetime:
    """Return when to look for this row in the list again: less and less often."""
    if generation.status == Status.EXPIRED:
        return next_poll_at(generation, now=now)
    # A list may have the whole history of a workspace, so it is read less often than one row.
    seconds = LISTS_APART.total_seconds() * 1.5 ** min(generation.polls, 20)
    due_at = now + timedelta(seconds=min(seconds, LONGEST_APART))
    # Times are rounded to a common grid, so that the rows of an account share one list.
    epoch = datetime(2020, 1, 1, tzinfo=UTC if now.tzinfo else None)
    return due_at + (epoch - due_at) % LISTS_APART


def _listed(remote: RemoteGeneration) -> Listed:
    fingerprint, *older = fingerprints_of(remote)
    return Listed(remote.id, remote.created_at, fingerprint, tuple(older))


def _known(which: Q) -> Iterator[KnownRow]:
    columns = ("remote_id", "fingerprint", "workspace", "submitted_at", "mode")
    for remote_id, fingerprint, workspace, sent_at, mode in (
        Generation.objects.filter(which).values_list(*columns).iterator()
    ):
        yield KnownRow(
            str(remote_id),
            fingerprint,
            workspace,
            sent_at=None if sent_at is None else earliest(sent_at),
            is_imported=mode == Mode.IMPORTED,
            may_be_unlisted=mode == Mode.STREAM,
            latest_sent_at=None if sent_at is None else latest(sent_at),
        )
