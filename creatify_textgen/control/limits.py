"""What one user may have at once, and do in a day or a minute: the setting `LIMITS`.

The site itself (no owner) has no limits. Rows are counted, not requests, so that the count is right
for all processes together and after a crash. Invariant: no count without a row lock of its user,
except in a transaction of the host, where other requests would wait for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, Count, F, Q, Sum, Value, When
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from creatify_textgen import clock, databases
from creatify_textgen.conf import conf
from creatify_textgen.exceptions import PolicyRefusal
from creatify_textgen.intake import Intake
from creatify_textgen.models import Allowance, Generation, Media
from creatify_textgen.states import IN_FLIGHT, Mode, Status

__all__ = [
    "check_request",
    "check_uploads",
    "confirm_uploads",
    "count_open",
    "count_refresh",
    "counting",
]

MINUTE = timedelta(minutes=1)
OPEN = IN_FLIGHT | {Status.QUEUED}
ATTENDED = OPEN - {Status.UNCONFIRMED}
"""While a pump or a waiting request is at work on a stream or a sync call. An unconfirmed one has
neither, and may stay so for a day."""
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
"""The limit of a mode, and the words of its refusal."""


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
    """Run the block in a transaction in which nothing else of these users is counted.

    A transaction of the host may take long, so nothing is locked in one: there, requests that
    arrive in the same moment may pass a limit together.
    """
    with _locked(owner_ids if _has_open_limit() else ()):
        yield


@contextmanager
def _locked(owner_ids: Collection[Any]) -> Iterator[None]:
    locks = bool(owner_ids) and not databases.connection().in_atomic_block
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


def check_uploads(
    owner_id: Any, *, sizes: Sequence[int], now: datetime, besides: Collection[Any] = ()
) -> None:
    """Refuse files of these sizes (bytes) if the user has stored too many since midnight UTC.

    `besides` are the keys of rows that are not counted. Raises: PolicyRefusal (429).
    """
    limits = conf.limits
    if limits["uploads_per_day"] is None and limits["upload_bytes_per_day"] is None:
        return
    midnight = clock.as_utc_range(now)[1].replace(hour=0, minute=0, second=0, microsecond=0)
    rest = (midnight + timedelta(days=1) - clock.as_utc_range(now)[1]).total_seconds()
    since = clock.to_stored(midnight)
    stored = Media.objects.filter(owner_id=owner_id, created_at__gte=since, discarded_at=None)
    today = stored.exclude(pk__in=besides).aggregate(files=Count("pk"), size=Sum("size"))
    files, size = today["files"], today["size"] or 0
    _refuse_above(
        "uploads_per_day",
        files,
        len(sizes),
        text=_("You may upload %(limit)d files a day, and have uploaded %(has)d."),
        code="uploads",
        wait=rest,
    )
    _refuse_above(
        "upload_bytes_per_day",
        size,
        sum(sizes),
        text=_("You may upload %(limit)d bytes a day, and have uploaded %(has)d."),
        code="upload_bytes",
        wait=rest,
    )


def confirm_uploads(owner_id: Any, *, stored: Sequence[Media], now: datetime) -> None:
    """Count these files again, which the user has stored since `check_uploads`.

    What was stored at the same moment was not counted then. Files are written outside of any
    lock, because a storage may take long; what is too much is given up, and the sweep deletes it.

    Raises: PolicyRefusal (429).
    """
    keys, refusal = [media.pk for media in stored], None
    if not keys:
        return
    with _locked([owner_id]):
        try:
            sizes = [media.size for media in stored]
            check_uploads(owner_id, sizes=sizes, now=now, besides=keys)
        except PolicyRefusal as error:
            Media.objects.filter(pk__in=keys).update(discarded_at=now)
            refusal = error
    if refusal:
        raise refusal


def count_refresh(user_id: Any, *, now: datetime) -> None:
    """Count one question to the remote, in one UPDATE; the window is a minute from its first.

    Raises: PolicyRefusal (429).
    """
    limit = conf.limits["refreshes_per_minute"]
    if limit is None:
        return
    Allowance.objects.get_or_create(owner_id=user_id)
    ended = Q(window_ends_at=None) | Q(window_ends_at__lte=now)
    mine = Allowance.objects.filter(pk=user_id)
    # In this order: MariaDB reads a column that was assigned before as it is then.
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
