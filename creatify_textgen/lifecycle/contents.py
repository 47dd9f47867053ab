"""Removes what a generation says, and keeps what it was: its row, its cost and its timeline.

The content is a separate row, and every later write to it is an UPDATE, so content that is removed
stays removed. A row that is not final keeps its content, which its send, its webhook and its search
in the remote's list need. It can only be marked to drop the content when it is final.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any

from django.db.models import F, Q, QuerySet

from creatify_textgen import databases
from creatify_textgen.lifecycle.transactions import in_short_transaction
from creatify_textgen.models import Generation, GenerationContent, GenerationEvent, Media
from creatify_textgen.per_process import per_process
from creatify_textgen.states import TERMINAL, Cause, Status

__all__ = [
    "ENDED",
    "OWNER_ERASED",
    "awaiting",
    "discard_media",
    "drop_erased",
    "drop_unkept",
    "note_reads",
    "remove_contents",
    "stop_keeping",
]

ENDED = (*TERMINAL, Status.EXPIRED)
"""The statuses in which a row needs its content no more. An expired row can still be finished, by
its remote id or its fingerprint alone."""
NOT_STORED = "content not stored"
OWNER_ERASED = "its owner was erased"
"""In the timeline of a queued row that was cancelled for this reason."""
WIPED: Mapping[str, Any] = {"excerpt": "", "metadata": {}, "idempotency_hash": ""}
"""Columns of the row about its content. The idempotency key stays, so that a repeated request is
not paid again."""


def remove_contents(ids: Collection[uuid.UUID], *, now: datetime, detail: str) -> int:
    """Remove the content of the rows that have ended, and return how many still had content.

    `detail` says why, for the timeline. Their media go too, unless another generation uses them.
    May be called again.
    """
    return in_short_transaction(partial(_remove_contents, ids, now=now, detail=detail))


def _remove_contents(ids: Collection[uuid.UUID], *, now: datetime, detail: str) -> int:
    rows = Generation.objects.filter(pk__in=ids, status__in=ENDED)
    # An UPDATE first, which locks: SQLite refuses to lock what was read before.
    if not rows.update(keeps_content=False):
        return 0
    statuses = dict(rows.values_list("pk", "status"))
    first = Generation.objects.filter(pk__in=statuses, content_removed_at=None)
    count = first.update(content_removed_at=now)
    _wipe(statuses)
    _delete(statuses, now=now)
    _note(statuses, now=now, detail=detail)
    return count


def stop_keeping(ids: Collection[uuid.UUID], *, now: datetime, detail: str) -> int:
    """Mark rows that have not ended to drop their content when they end; return how many."""
    return in_short_transaction(partial(_stop_keeping, ids, now=now, detail=detail))


def _stop_keeping(ids: Collection[uuid.UUID], *, now: datetime, detail: str) -> int:
    rows = Generation.objects.filter(pk__in=ids, content_removed_at=None).exclude(status__in=ENDED)
    # Locks the rows, so that none of them ends before it is marked.
    rows.update(keeps_content=False)
    statuses = dict(rows.values_list("pk", "status"))
    Generation.objects.filter(pk__in=statuses).update(
        keeps_content=False, content_removed_at=now, **WIPED
    )
    _note(statuses, now=now, detail=detail)
    return len(statuses)


@contextmanager
def awaiting(generation_id: uuid.UUID) -> Iterator[Callable[[], GenerationContent | None]]:
    """Have a content that is not stored handed to this caller, if this process finishes its row.

    Yields a function that returns the content, or None. One caller can wait for a row.
    """
    # If another process finishes the row, it drops the content, and this caller asks the remote.
    _awaited()[generation_id] = None
    try:
        yield partial(_awaited().get, generation_id)
    finally:
        _awaited().pop(generation_id, None)


@per_process
def _awaited() -> dict[uuid.UUID, GenerationContent | None]:
    return {}


def drop_unkept(
    final: Iterable[Generation], results: Mapping[uuid.UUID, Mapping[str, Any]], *, now: datetime
) -> None:
    """Drop the content of final rows that do not keep it, in the transaction that finishes them.

    `results` is what arrived for them and is saved nowhere. The objects get it, together with
    their request, for the receivers of signals; those of an erased person get nothing.
    """
    unkept = {generation.pk: generation for generation in final if not generation.keeps_content}
    if not unkept:
        return
    erased = {pk for pk, generation in unkept.items() if generation.content_removed_at}
    for content in GenerationContent.objects.filter(pk__in=unkept.keys() - erased):
        for name, value in results.get(content.pk, {}).items():
            setattr(content, name, value)
        # Sets the content of the generation, too.
        content.generation = unkept[content.pk]
        if content.pk in _awaited():
            _awaited()[content.pk] = content
    _delete(unkept, now=now)
    _wipe(erased)
    stored_until_now = {pk: row.status for pk, row in unkept.items() if pk not in erased}
    rows = Generation.objects.filter(pk__in=stored_until_now)
    rows.update(content_removed_at=now, excerpt="")
    _note(stored_until_now, now=now, detail=NOT_STORED)


def drop_erased(expired: Iterable[Generation], *, now: datetime) -> None:
    """Drop the content of expired rows whose owner was erased while they were under way.

    They may stay expired, and then nothing else would drop it. Other rows keep their content until
    they are final.
    """
    erased = [row.pk for row in expired if row.content_removed_at and not row.keeps_content]
    if erased:
        _delete(erased, now=now)
        _wipe(erased)


def note_reads(generations: Iterable[Generation], *, now: datetime, detail: str) -> None:
    """Add to the timelines that somebody has read the contents."""
    _note({row.pk: row.status for row in generations}, now=now, detail=detail)


def discard_media(ids: Collection[uuid.UUID], *, now: datetime) -> int:
    """Give up the media that no generation uses, and return how many.

    Their files are deleted after that, and then their rows.
    """
    return in_short_transaction(partial(_discard_media, ids, now=now))


def _discard_media(ids: Collection[uuid.UUID], *, now: datetime) -> int:
    # Locked before they are counted: a request that takes one up locks it, too.
    Media.objects.filter(pk__in=ids).update(discarded_at=F("discarded_at"))
    links = _links().filter(media_id__in=ids)
    unused = set(ids).difference(links.values_list("media_id", flat=True))
    return Media.objects.filter(pk__in=unused, discarded_at=None).update(discarded_at=now)


def _wipe(ids: Iterable[uuid.UUID]) -> None:
    rows = Generation.objects.filter(pk__in=list(ids))
    rows.update(keeps_content=False, **WIPED)
    # A row whose cost is not known may still be found in the remote's list by its fingerprint.
    rows.filter(Q(remote_id__isnull=False) | Q(credits_used__isnull=False)).update(fingerprint="")


def _delete(ids: Iterable[uuid.UUID], *, now: datetime) -> None:
    keys = list(ids)
    GenerationContent.objects.filter(pk__in=keys).delete()
    links = _links().filter(generation_id__in=keys)
    used = set(links.values_list("media_id", flat=True))
    if used:
        links.delete()
        _discard_media(used, now=now)


def _links() -> QuerySet[Any]:
    # Django makes this table's manager, so a router could send its reads to a replica that lags.
    links: QuerySet[Any] = Generation.media.through.objects.using(databases.alias())
    return links


def _note(statuses: Mapping[uuid.UUID, str], *, now: datetime, detail: str) -> None:
    GenerationEvent.objects.bulk_create(
        GenerationEvent(
            generation_id=pk, at=now, status=status, cause=Cause.RETENTION, detail=detail
        )
        for pk, status in statuses.items()
    )
