"""The day's rollup: written in the transaction that finishes a row, so it adds once.

Rows are locked in the order of their keys, so two sweeps cannot deadlock over them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal

from django.db.models import F
from django.utils import timezone

from creatify_textgen.lifecycle.by_key import ByKey
from creatify_textgen.models import Generation, UsageDay
from creatify_textgen.states import Status

__all__ = ["add_to_rollup", "correct_rollup"]


@dataclass(slots=True)
class _Sum:
    row: UsageDay
    generations: int = 0
    credits_used: Decimal = field(default_factory=Decimal)
    credits_unknown: int = 0


def add_to_rollup(generations: Iterable[Generation], *, status: Status, now: datetime) -> None:
    """Count finished generations and their credits on their day, model, owner and status."""
    sums: dict[str, _Sum] = {}
    for generation in generations:
        row = _usage_row(generation, status=status, day=_utc_day(now))
        total = sums.setdefault(row.key, _Sum(row))
        total.generations += 1
        total.credits_used += generation.credits_used or 0
        total.credits_unknown += generation.credits_used is None
    _add(sums)


def correct_rollup(generation: Generation, *, before: Decimal | None) -> None:
    """Follow a correction of a finished generation's credits, which were `before`."""
    if generation.finished_at is None:
        return
    day = _utc_day(generation.finished_at)
    row = _usage_row(generation, status=Status(generation.status), day=day)
    counted = _find(row) or row
    difference = (generation.credits_used or Decimal()) - (before or Decimal())
    unknown = (generation.credits_used is None) - (before is None)
    # A day whose sums were deleted begins anew, and has nothing to take away from.
    unknown = max(unknown, -counted.credits_unknown)
    _add({counted.key: _Sum(counted, 0, difference, unknown)})


def _find(row: UsageDay) -> UsageDay | None:
    """Return the row as it is saved. Its key is of the owner it had, who may be deleted since."""
    locked = UsageDay.objects.select_for_update()
    alike = locked.filter(
        day=row.day,
        account=row.account,
        owner_id=row.owner_id,
        model_name=row.model_name,
        status=row.status,
    )
    return locked.filter(pk=row.key).first() or alike.order_by("-credits_unknown").first()


def _utc_day(now: datetime) -> date:
    if timezone.is_naive(now):
        now = timezone.make_aware(now)
    return now.astimezone(UTC).date()


def _usage_row(generation: Generation, *, status: Status, day: date) -> UsageDay:
    parts = (day, generation.account, generation.owner_id, generation.model_name, status)
    key = hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()
    return UsageDay(
        key=key,
        day=day,
        account=generation.account,
        owner_id=generation.owner_id,
        model_name=generation.model_name,
        status=status,
    )


def _add(sums: Mapping[str, _Sum]) -> None:
    keys = sorted(sums)
    _lock_or_create(keys, sums)
    totals = {key: sums[key] for key in keys}
    UsageDay.objects.filter(pk__in=keys).update(
        generations=F("generations") + _by_key(totals, "generations"),
        credits_used=F("credits_used") + _by_key(totals, "credits_used"),
        credits_unknown=F("credits_unknown") + _by_key(totals, "credits_unknown"),
    )


def _lock_or_create(keys: Sequence[str], sums: Mapping[str, _Sum]) -> None:
    locked = UsageDay.objects.select_for_update().filter(pk__in=keys).order_by("pk")
    there = set(locked.values_list("pk", flat=True))
    missing = [sums[key].row for key in keys if key not in there]
    if missing:
        # Another transaction may make them first; the UPDATE that follows waits for it.
        UsageDay.objects.bulk_create(missing, ignore_conflicts=True)


def _by_key(totals: Mapping[str, _Sum], name: str) -> ByKey:
    return ByKey(UsageDay, name, {key: getattr(total, name) for key, total in totals.items()})
