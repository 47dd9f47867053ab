"""What one user may have at once, and do in a day or a minute: the setting `LIMITS`.

The site itself (no owner) has no limits. Unfinished generations are counted by their rows, uploads
and refreshes in a row of their user, so the counts are right for all processes together and after a
crash. Invariant: nothing is counted without a lock on a row of the user, except in a transaction of
the host, where other requests would wait for the lock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any

from django.db.models import Case, Count, F, Q, Value, When
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from creatify_textgen import clock, databases
from creatify_textgen.conf import conf
from creatify_textgen.exceptions import PolicyRefusal
from creatify_textgen.intake import Intake
from creatify_textgen.intake.staging import StagedMedia
from creatify_textgen.models import Allowance, Generation
from creatify_textgen.states import IN_FLIGHT, Mode, Status

__all__ = [
    "check_request",
    "count_open",
    "count_refresh",
    "counting",
    "counting_uploads",
]

MINUTE = timedelta(minutes=1)
OPEN = IN_FLIGHT | {Status.QUEUED}
ATTENDED = OPEN - {Status.UNCONFIRMED}
"""Statuses in which a pump reads a stream, or a request waits for a sync call. For an unconfirmed
generation neither happens, and it may stay unconfirmed for a day."""
BY_MODE = {
    Mode.STREAM: (
        "streams",
        gettext_noop("You may have %(limit)d streams at once, and have %(has)d."),
    ),
    Mode.SYNC: (
        "sync",
        gettext_noop("You may have %(limit)d synchronous generations at once, and have %(has)d."),
    ),
}
"""The limit of a mode, and the text of its refusal."""
UPLOADS = (
    (
        "uploads_per_day",
        "uploads",
        gettext_noop("You may upload %(limit)d files a day, and have uploaded %(has)d."),
    ),
    (
        "upload_bytes_per_day",
        "upload_bytes",
        gettext_noop("You may upload %(limit)d bytes a day, and have uploaded %(has)d."),
    ),
)
"""A limit of a day, its column (also its code), and the words of its refusal, as in `_amounts`."""


def check_request(intake: Intake) -> None:
    """Refuse a model or a length that no user may ask for. Raises: PolicyRefusal (403)."""
    if intake.owner_id is None:
        return
    models, most_tokens = conf.limits["models"], conf.limits["max_output_tokens"]
    # A string, which `manage.py check` reports, would allow each part of the name.
    models = [models] if isinstance(models, str) else models
    if models is not None and intake.model_name not in models:
        raise PolicyRefusal(
            _("You may use these models: %(models)s.") % {"models": ", ".join(models)},
            code="model_not_allowed",
        )
    asked = intake.config.get("max_output_tokens")
    if most_tokens is not None and (asked is None or asked > most_tokens):
        # Without the field the remote would use the model's own maximum.
        raise PolicyRefusal(
            _("Set config.max_output_tokens to at most %(limit)d.") % {"limit": most_tokens},
            code="too_many_tokens",
        )


@contextmanager
def counting(owner_ids: Collection[Any]) -> Iterator[None]:
    """Run the block in a transaction in which no other request of these users is counted.

    A transaction of the host may take long, so nothing is locked inside it: there, simultaneous
    requests may together exceed a limit.
    """
    has_limit = bool(owner_ids) and _has_open_limit()
    locks = has_limit and not databases.connection().in_atomic_block
    with ExitStack() as counted:
        counted.enter_context(databases.short_transaction())
        if locks and not _lock_allowances(owner_ids):
            counted.close()
            _create_allowances(owner_ids)
            counted.enter_context(databases.short_transaction())
            _lock_allowances(owner_ids)
        yield


def _lock_allowances(owner_ids: Collection[Any]) -> bool:
    """Return whether each of these users has a row, which is now locked."""
    # An UPDATE comes first: SQLite refuses to lock what was read before in the transaction.
    # Always in the same order, so that two batches cannot deadlock. Keys may be of any type.
    rows = [Allowance.objects.filter(pk=owner_id) for owner_id in sorted(owner_ids, key=str)]
    return sum(row.update(refreshes=F("refreshes")) for row in rows) == len(rows)


def _create_allowances(owner_ids: Collection[Any]) -> None:
    # Committed before they are locked: an INSERT that finds a row waits for it, but has no lock on
    # it afterwards (PostgreSQL), or one that two may share and neither can raise (MariaDB).
    known = Allowance.objects.filter(pk__in=owner_ids).values_list("pk", flat=True)
    missing = set(owner_ids) - set(known)
    if missing:
        rows = [Allowance(owner_id=owner_id) for owner_id in missing]
        Allowance.objects.bulk_create(rows, ignore_conflicts=True)


def count_open(owner_id: Any, *, mode: Mode, count: int) -> None:
    """Refuse `count` more generations than the user may have open. One query.

    Raises: PolicyRefusal (429).
    """
    if not _has_open_limit():
        return
    name, text = BY_MODE.get(mode, ("", ""))
    found = Generation.objects.filter(owner_id=owner_id, status__in=OPEN).aggregate(
        in_flight=Count("pk"), of_mode=Count("pk", filter=Q(mode=mode, status__in=ATTENDED))
    )
    if name:
        _refuse_above(name, found["of_mode"], count, text=_(text))
    text = _("You may have %(limit)d unfinished generations, and have %(has)d.")
    _refuse_above("in_flight", found["in_flight"], count, text=text)


@contextmanager
def counting_uploads(
    owner_id: Any, *, staged: Sequence[StagedMedia], now: datetime
) -> Iterator[None]:
    """Run the block, and count the files that it stores as uploads of this day.

    They count before they are stored, because a storage is too slow for a lock. Files that were not
    stored, or had been stored before, are subtracted again. In a transaction of the host they count
    after its commit.

    Raises: PolicyRefusal (429), and then the block did not run.
    """
    if all(conf.limits[name] is None for name, *_ in UPLOADS):
        yield
        return
    sizes, day = [one.size for one in staged], clock.utc_day(now)
    is_alone = not databases.connection().in_atomic_block
    _refuse_uploads(owner_id, sizes=sizes, now=now)
    # A simultaneous upload may take the room, or give it back.
    while is_alone and not _add_uploads(owner_id, sizes=sizes, day=day):
        _refuse_uploads(owner_id, sizes=sizes, now=now)
    try:
        yield
    finally:
        new = [one.size for one in staged if one.is_new]
        if is_alone:
            _take_off(owner_id, len(sizes) - len(new), sum(sizes) - sum(new), day=day)
        elif new:
            add = partial(_add_uploads, owner_id, sizes=new, day=day, is_stored=True)
            databases.after_commit(add)


def _refuse_uploads(owner_id: Any, *, sizes: Sequence[int], now: datetime) -> None:
    day = clock.utc_day(now)
    midnight = datetime.combine(day + timedelta(days=1), time.min, tzinfo=UTC)
    today = Allowance.objects.filter(pk=owner_id, uploads_on__gte=day)
    has = today.values_list("uploads", "upload_bytes").first() or (0, 0)
    for (name, code, text), count, more in zip(UPLOADS, has, _amounts(sizes), strict=True):
        wait = (midnight - clock.as_utc_range(now)[0]).total_seconds()
        _refuse_above(name, count, more, text=_(text), code=code, wait=wait)


def _add_uploads(owner_id: Any, *, sizes: Sequence[int], day: date, is_stored: bool = False) -> int:
    """Add these files to the day, in one UPDATE; return 0 if there is no room for them."""
    Allowance.objects.get_or_create(owner_id=owner_id)
    begins, room, sums = Q(uploads_on=None) | Q(uploads_on__lt=day), Q(), {}
    for (name, column, _text), more in zip(UPLOADS, _amounts(sizes), strict=True):
        limit = conf.limits[name]
        if limit is not None:
            room &= Q(**{f"{column}__lte": limit - more})
        sums[column] = Case(When(begins, then=Value(more)), default=F(column) + more)
    rows = Allowance.objects.filter(Q() if is_stored else begins | room, pk=owner_id)
    # The day is the last: MariaDB reads a column that was assigned before as it is then.
    on = Case(When(begins, then=Value(day)), default=F("uploads_on"))
    return rows.update(**sums, uploads_on=on)


def _take_off(owner_id: Any, count: int, size: int, *, day: date) -> None:
    if count:
        today = Allowance.objects.filter(pk=owner_id, uploads_on=day)
        today.update(uploads=F("uploads") - count, upload_bytes=F("upload_bytes") - size)


def _amounts(sizes: Sequence[int]) -> tuple[int, int]:
    return len(sizes), sum(sizes)


def count_refresh(user_id: Any, *, now: datetime) -> None:
    """Count one refresh, in one UPDATE; the window is a minute from the first refresh.

    Raises: PolicyRefusal (429).
    """
    limit = conf.limits["refreshes_per_minute"]
    if limit is None:
        return
    Allowance.objects.get_or_create(owner_id=user_id)
    ended = Q(window_ends_at=None) | Q(window_ends_at__lte=now)
    mine = Allowance.objects.filter(pk=user_id)
    # With a limit of 0, not even a new window has room.
    # The columns in this order: MariaDB reads one that was assigned before as it is then.
    counted = mine.filter(Q(refreshes__lt=limit) | (ended if limit else Q())).update(
        refreshes=Case(When(ended, then=Value(1)), default=F("refreshes") + 1),
        window_ends_at=Case(When(ended, then=Value(now + MINUTE)), default=F("window_ends_at")),
    )
    if not counted:
        ends_at = mine.values_list("window_ends_at", flat=True).get()
        wait = (ends_at - now).total_seconds() if ends_at else MINUTE.total_seconds()
        raise _refusal(
            "refreshes",
            limit,
            limit,
            text=_("You may refresh %(limit)d times a minute, and have done so %(has)d times."),
            wait=max(wait, 1),
        )


def _has_open_limit() -> bool:
    limits = conf.limits
    return any(limits[name] is not None for name in ("in_flight", "streams", "sync"))


def _refuse_above(
    name: str,
    has: int,
    more: int,
    *,
    text: str,
    code: str | None = None,
    wait: float | None = None,
) -> None:
    limit = conf.limits[name]
    if limit is not None and has + more > limit:
        raise _refusal(code or name, has, limit, text=text, wait=wait)


def _refusal(
    code: str, has: int, limit: int, *, text: str, wait: float | None = None
) -> PolicyRefusal:
    return PolicyRefusal(
        text % {"limit": limit, "has": has},
        code=f"too_many_{code}",
        status=429,
        retry_after=wait,
    )
