"""Which generations a job takes, who may start it, and how their ids are stored.

Invariant: only the last slice of a job may be short, because the place of an id determines its
slice. Only the order of a job's ids is written here.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from creatify_textgen.models import BulkJob, BulkSlice, Generation
from creatify_textgen.permissions import is_staff_with
from creatify_textgen.states import TERMINAL, Status

__all__ = [
    "SLICE",
    "eligible",
    "is_permitted",
    "pack",
    "read_keys",
    "slices_of",
    "swap_keys",
]

SLICE = 1000
KEY_BYTES = 16
ENDED = sorted(TERMINAL)
# RETRY: an expired row may have been charged, and a person decides to ask again. DELETE: it is not
# deleted, because its result may still arrive.
ELIGIBLE = {
    BulkJob.Verb.RETRY: Q(status__in=[*ENDED, Status.EXPIRED], content_removed_at=None),
    BulkJob.Verb.CANCEL: Q(status=Status.QUEUED),
    BulkJob.Verb.DELETE: Q(status__in=ENDED),
}
PERMISSIONS = {
    BulkJob.Verb.RETRY: "operate_generation",
    BulkJob.Verb.CANCEL: "operate_generation",
    BulkJob.Verb.DELETE: "delete_generation",
}


def eligible(
    rows: QuerySet[Generation], *, verb: str, until: datetime | None = None
) -> QuerySet[Generation]:
    """Return the rows that allow this; none that were created or ended after `until`."""
    found = rows.filter(ELIGIBLE[BulkJob.Verb(verb)])
    if until is None:
        return found
    # Without this, "failed today" would include what failed after the person saw the number.
    had_ended = Q(finished_at=None) | Q(finished_at__lte=until)
    return found.filter(had_ended, created_at__lte=until)


def is_permitted(user: Any, *, verb: str) -> bool:
    """Whether this user may do it to every generation."""
    needed = PERMISSIONS[BulkJob.Verb(verb)]
    return is_staff_with(user, "view_generation") and is_staff_with(user, needed)


def slices_of(rows: QuerySet[Generation]) -> Iterator[list[uuid.UUID]]:
    """Yield the ids, the oldest first, in full slices and a last one."""
    kept: list[uuid.UUID] = []
    for keys in _read(rows):
        kept += keys
        while len(kept) >= SLICE:
            yield kept[:SLICE]
            kept = kept[SLICE:]
    if kept:
        yield kept


def _read(rows: QuerySet[Generation]) -> Iterator[list[uuid.UUID]]:
    """Yield up to a slice at a time, each by a separate query that an index serves.

    A query may find less than a slice and the next one more, because rows change meanwhile.
    """
    # By time and key: many rows of one `submit_many` have the same time.
    ordered = rows.select_related(None).order_by("created_at", "pk").values_list("created_at", "pk")
    found = list(ordered[:SLICE])
    while found:
        yield [key for _, key in found]
        at, last = found[-1]
        later = Q(created_at__gt=at) | Q(created_at=at, pk__gt=last)
        # `gte` repeats a part of the OR, because no database uses the index for the OR alone.
        found = list(ordered.filter(later, created_at__gte=at)[:SLICE])


def pack(keys: list[uuid.UUID]) -> bytes:
    return b"".join(key.bytes for key in keys)


def read_keys(job: BulkJob, *, limit: int) -> list[uuid.UUID]:
    """Return the next ids of a job, at most so many; none at its end."""
    number, place = divmod(job.handled, SLICE)
    kept = BulkSlice.objects.filter(job=job, number=number).values_list("keys", flat=True).first()
    # No slice: another process has finished the job. Some drivers return a memoryview.
    packed = bytes(kept or b"")[place * KEY_BYTES : (place + limit) * KEY_BYTES]
    return [uuid.UUID(bytes=packed[at : at + KEY_BYTES]) for at in range(0, len(packed), KEY_BYTES)]


def swap_keys(job: BulkJob, one: int, other: int) -> None:
    """Exchange the ids at two places of a job. For a transaction that has written to its row."""
    places = [divmod(place, SLICE) for place in (one, other)]
    found = BulkSlice.objects.filter(job=job, number__in={number for number, _ in places})
    kept = {number: bytearray(keys) for number, keys in found.values_list("number", "keys")}
    spans = [
        (number, slice(place * KEY_BYTES, (place + 1) * KEY_BYTES)) for number, place in places
    ]
    keys = [kept[number][span] for number, span in spans]
    for (number, span), key in zip(spans, reversed(keys), strict=True):
        kept[number][span] = key
    for number, packed in kept.items():
        BulkSlice.objects.filter(job=job, number=number).update(keys=bytes(packed))
