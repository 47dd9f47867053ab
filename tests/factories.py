"""Rows for tests, as the app itself would have saved them."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from creatify_textgen.models import Generation, GenerationContent, UsageDay, UsageTotal
from creatify_textgen.recovery.evidence import Listed, Reading
from creatify_textgen.remote import RemoteClock
from creatify_textgen.states import TERMINAL, Status

NOW = datetime(2020, 11, 22, 12, 0, tzinfo=UTC)
"""Long ago by every clock: a test that mixes it with the time of day fails today, not in a year."""
HELLO = [{"role": "user", "content": "Hello"}]


def make_generation(*, content: dict[str, Any] | None = None, **fields: Any) -> Generation:
    """Save a generation in any status, due a minute after NOW by default."""
    status = fields.get("status", Status.QUEUED)
    if status not in TERMINAL:
        fields.setdefault("due_at", NOW + timedelta(minutes=1))
    fields.setdefault("created_at", NOW - timedelta(minutes=1))
    fields.setdefault("model_name", "gemini-2.5-flash")
    fields.setdefault("fingerprint", "0" * 64)
    generation = Generation.objects.create(**fields)
    GenerationContent.objects.create(generation=generation, messages=HELLO, **(content or {}))
    return generation


def let_time_pass(generation_id: Any) -> None:
    """Make an open row due, its lease and its last sign of life long ago."""
    open_row = Generation.objects.filter(pk=generation_id, finished_at=None)
    for row in open_row:
        long_ago = row.updated_at - timedelta(hours=1)
        open_row.update(due_at=long_ago, updated_at=long_ago)
        open_row.exclude(lease_until=None).update(lease_until=long_ago)


WORKSPACE = "w" * 32


def absent_facts(*, now: datetime = NOW) -> dict[str, Any]:
    """Return what a row knows that was sent half an hour ago and that a list lacked since."""
    sent_at = now - timedelta(minutes=30)
    return {
        "workspace": WORKSPACE,
        "first_submitted_at": sent_at,
        "submitted_at": sent_at,
        "sent_until": sent_at + timedelta(minutes=1),
        "polled_at": now,
        "absent_since": now - timedelta(minutes=11),
        "absent_served_at": now - timedelta(minutes=11),
    }


def honest_reading(*, now: datetime = NOW, **fields: Any) -> Reading:
    """Save two rows that testify to a list, and return the list that has nothing but them."""
    listed: list[Listed] = []
    for remote_id, minutes in (("before", 60), ("after", 20)):
        sent_at = now - timedelta(minutes=minutes)
        row = make_generation(
            status=Status.DONE,
            remote_id=remote_id,
            fingerprint=remote_id,
            workspace=WORKSPACE,
            submitted_at=sent_at,
            created_at=sent_at,
            finished_at=sent_at,
        )
        listed.append(Listed(remote_id, sent_at, row.fingerprint))
    moment = time.monotonic()
    clock = RemoteClock(served_at=now, asked_at=moment, received_at=moment)
    defaults = {"listed": listed, "clocks": [clock], "workspace": WORKSPACE}
    return Reading(**{**defaults, **fields})


def save_usage(*, owner: Any = None, **sums: Any) -> UsageDay:
    """Save the sums of a day as the end of generations writes them: of the owner, and of all."""
    UsageTotal.objects.create(key=uuid.uuid4(), **sums)
    return UsageDay.objects.create(key=uuid.uuid4(), owner=owner, **sums)
