"""Answers that the remote shows only some time after it reported their generations as done.

A poll may reach a replica that has the new status but not the text. Invariant: a final row keeps
its status and its answer. If its content was removed, or its stream stopped, nothing is added.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from creatify_textgen import clock, lifecycle
from creatify_textgen.dispatch.snapshots import Snapshot
from creatify_textgen.models import GenerationContent
from creatify_textgen.states import Cause, Mode, Status

__all__ = ["add_answer", "with_late_answer"]


def with_late_answer(snapshots: Iterable[Snapshot]) -> list[Snapshot]:
    """Return those of these final rows that have no answer although the remote has one."""
    answered = {each.generation.pk: each for each in snapshots if _may_have_come_late(each)}
    without = _without_answer(answered) if answered else set()
    return [each for pk, each in answered.items() if pk in without]


def add_answer(snapshot: Snapshot) -> bool:
    """Write the answer on the row. Return False if it has one by now, or keeps none."""
    return lifecycle.complete_empty(
        snapshot.generation.pk, snapshot.outcome(), cause=Cause.RECONCILE, now=clock.now()
    )


def _may_have_come_late(snapshot: Snapshot) -> bool:
    row, remote = snapshot.generation, snapshot.remote
    # The answer of a stream is what its readers received, and a stopped stream gets no more.
    is_whole = row.status == Status.DONE and not row.partial
    is_failed = row.status == Status.FAILED and row.mode != Mode.STREAM
    has_answer = remote.response_text or remote.response_function_calls
    return bool(has_answer) and snapshot.target == Status.DONE and (is_whole or is_failed)


def _without_answer(ids: Iterable[uuid.UUID]) -> set[uuid.UUID]:
    # Compared in Python, because nothing queries into the text of a JSON column.
    contents = GenerationContent.objects.filter(pk__in=ids, response_text="")
    return {
        content.pk
        for content in contents.only("response_function_calls")
        if not content.response_function_calls
    }
