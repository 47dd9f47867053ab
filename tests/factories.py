"""Rows for tests, as the app itself would have saved them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from creatify_textgen.models import Generation, GenerationContent
from creatify_textgen.states import TERMINAL, Status

NOW = datetime(2020, 11, 22, 12, 0, tzinfo=UTC)
"""Long ago by every clock: a test that mixes it with the time of day fails today, not in a year."""
HELLO = [{"role": "user", "content": "Hello"}]


def make_generation(*, content: dict[str, Any] | None = None, **fields: Any) -> Generation:
    """Save a generation in any status, due a minute after NOW unless told otherwise."""
    status = fields.get("status", Status.QUEUED)
    if status not in TERMINAL:
        fields.setdefault("next_check_at", NOW + timedelta(minutes=1))
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
        open_row.update(next_check_at=long_ago, updated_at=long_ago)
        open_row.exclude(lease_until=None).update(lease_until=long_ago)
