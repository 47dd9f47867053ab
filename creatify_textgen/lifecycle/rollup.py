"""The daily rollups, by owner and of all owners, so that no report adds up generations.

They are written in the transaction that finishes a row, so each row counts once. Rows are locked in
the order of their keys, those by owner first, so two sweeps cannot deadlock over them.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from django.db.models import F, QuerySet

from creatify_textgen import clock
from creatify_textgen.lifecycle.by_key import ByKey
from creatify_textgen.lifecycle.holds import hold_corrected, settle_holds
from creatify_textgen.models import DailySums, Generation, UsageDay, UsageTotal
from creatify_textgen.states import Status

__all__ = ["add_to_rollup", "correct_rollup"]

SHARDS = 16
"""Rows of one day's sums of all owners, so that generations that end at once seldom wait for each
other. A generation keeps its shard, so its correction finds the row."""

Sums = TypeVar("Sums", bound=DailySums)


@dataclass(slots=True)
class _Sum:
    row: DailySums
    generations: int = 0
    credits_used: Decimal = field(default_factory=Decimal)
    credits_unknown: int = 0


def add_to_rollup(generations: Collection[Generation], *, status: Status, now: datetime) -> None:
    """Count finished generations and their credits on their day, model, owner and status."""
    settle_holds(generations)
    for rows in (_usage_row, _total_row):
        sums: dict[uuid.UUID, _Sum] = {}
        for generation in generations:
            row = rows(generation, status=status, day=clock.utc_day(now))
            total = sums.setdefault(row.key, _Sum(row))
            total.generations += 1
            total.credits_used += generation.credits_used or 0
            total.credits_unknown += generation.credits_used is None
        _add(sums)


def correct_rollup(generation: Generation, *, before: Decimal | None) -> None:
    """Correct the sums of the day after a finished generation's credits changed from `before`."""
    if generation.finished_at is None:
        return
    day = clock.utc_day(generation.finished_at)
    hold_corrected(generation, before=before, day=day)
    settle_holds([generation])
    difference = (generation.credits_used or Decimal()) - (before or Decimal())
    unknown = (generation.credits_used is None) - (before is None)
    usage = _usage_row(generation, status=Status(generation.status), day=day)
    total = _total_row(generation, status=Status(generation.status), day=day)
    largest = "credits_used" if before is not None else "credits_unknown"
    counted = (
        _find(usage, largest=largest) or usage,
        _locked(UsageTotal, [total.key]).first() or total,
    )
    for row in counted:
        # The sums of this day may have been deleted. Neither of the two may become negative then.
        more = max(difference, -Decimal(row.credits_used))
        _add({row.key: _Sum(row, 0, more, max(unknown, -row.credits_unknown))})


def _find(row: UsageDay, *, largest: str) -> UsageDay | None:
    """Return the row as it is saved. Its key has the owner of that time, even if deleted since."""
    if row.owner_id is not None:
        return _locked(UsageDay, [row.key]).first()
    # If the owner was deleted since, `SET_NULL` has emptied both rows, and their keys differ. Of
    # several such rows, the one with the largest of these sums has enough for the correction.
    alike = UsageDay.objects.select_for_update().filter(
        day=row.day,
        account=row.account,
        owner_id=row.owner_id,
        model_name=row.model_name,
        status=row.status,
    )
    return alike.order_by(f"-{largest}").first()


def _usage_row(generation: Generation, *, status: Status, day: date) -> UsageDay:
    named = (day, generation.account, generation.owner_id, generation.model_name, status)
    values = _values(generation, status=status, day=day)
    return UsageDay(key=_key(named), owner_id=generation.owner_id, **values)


def _total_row(generation: Generation, *, status: Status, day: date) -> UsageTotal:
    values = _values(generation, status=status, day=day)
    # The last four bits of a UUID version 7 are random (RFC 9562, 5.7), so the shards fill evenly.
    shard = generation.pk.int % SHARDS
    named = (day, generation.account, generation.model_name, status, shard)
    return UsageTotal(key=_key(named), **values)


def _values(generation: Generation, *, status: Status, day: date) -> dict[str, Any]:
    return {
        "day": day,
        "account": generation.account,
        "model_name": generation.model_name,
        "status": status,
    }


def _key(parts: Iterable[object]) -> uuid.UUID:
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode())
    # With a version, because MariaDB refuses some values that have none.
    return uuid.UUID(bytes=digest.digest()[:16], version=5)


def _add(sums: Mapping[uuid.UUID, _Sum]) -> None:
    keys = sorted(sums)
    if not keys:
        return
    table = type(sums[keys[0]].row)
    # One row is locked by its UPDATE. Several are locked before, in the order of their keys.
    if len(keys) > 1 or not _update(table, sums):
        _lock_or_create(table, keys, sums)
        _update(table, sums)


def _update(table: type[DailySums], sums: Mapping[uuid.UUID, _Sum]) -> int:
    names = ("generations", "credits_used", "credits_unknown")
    return _rows(table, sums).update(
        **{name: F(name) + _by_key(table, sums, name) for name in names}
    )


def _lock_or_create(
    table: type[DailySums], keys: Sequence[uuid.UUID], sums: Mapping[uuid.UUID, _Sum]
) -> None:
    there = set(_locked(table, keys).values_list("pk", flat=True))
    missing = [sums[key].row for key in keys if key not in there]
    if missing:
        # Another transaction may insert the same rows first; the next UPDATE waits for it.
        table._default_manager.bulk_create(missing, ignore_conflicts=True)


def _locked(table: type[Sums], keys: Iterable[uuid.UUID]) -> QuerySet[Sums]:
    return _rows(table, keys).select_for_update().order_by("pk")


def _rows(table: type[Sums], keys: Iterable[uuid.UUID]) -> QuerySet[Sums]:
    return table._default_manager.filter(pk__in=list(keys))


def _by_key(table: type[DailySums], sums: Mapping[uuid.UUID, _Sum], name: str) -> ByKey:
    return ByKey(table, name, {key: getattr(total, name) for key, total in sums.items()})
