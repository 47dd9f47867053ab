"""Kill a process at each point of a bulk job: it goes on, and asks nothing twice."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from django.contrib.auth.models import User

from creatify_textgen import clock
from creatify_textgen.models import BulkJob, Generation
from tests import factories
from tests.faults.kills.points import KillPoint
from tests.faults.kills.table import after, before
from tests.faults.kills.workers import Workers

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

WORK = "creatify_textgen.bulk.work"
JOBS = "creatify_textgen.bulk.jobs"
SUBMISSION = "creatify_textgen.services.submission"
ROWS = 3
NOT_SAVED = {
    "half of the job saved": before(f"{JOBS}:pack"),
    "job saved, not committed": after(f"{JOBS}:_save"),
}
RETRIES = {
    "job committed": after("creatify_textgen.bulk:start"),
    "before the claim": before(f"{JOBS}:claim_job"),
    "claimed": after(f"{JOBS}:claim_job"),
    "before the first": before(f"{WORK}:retry_linked"),
    "second counted, not committed": after(f"{WORK}:Work._write", nth=2),
    "second committed": after(f"{SUBMISSION}:save_intent", nth=2),
    "second published": after(f"{WORK}:retry_linked", nth=2),
    "before the end": before(f"{WORK}:Work._end"),
    "ended": after(f"{WORK}:Work._end"),
}
DELETIONS = {
    "deleted, not counted": after("creatify_textgen.services:delete_many"),
    "counted, not committed": after(f"{WORK}:Work._write"),
    "committed": after(f"{WORK}:Work._delete_all"),
}


@pytest.fixture
def failed(transactional_db: None) -> list[Generation]:
    User.objects.create_superuser("staff")
    fields = {"status": "failed", "finished_at": factories.NOW}
    return [factories.make_generation(**fields) for _ in range(ROWS)]


@pytest.mark.parametrize("point", NOT_SAVED.values(), ids=NOT_SAVED)
def test_half_a_job_is_none(point: KillPoint, workers: Workers, failed: list[Any]) -> None:
    assert workers.run("retry_failed", kill=point) == -signal.SIGKILL, workers.words
    assert not BulkJob.objects.exists()
    assert Generation.objects.count() == ROWS


@pytest.mark.parametrize("point", RETRIES.values(), ids=RETRIES)
def test_a_retry_is_sent_once(point: KillPoint, workers: Workers, failed: list[Any]) -> None:
    assert workers.run("retry_failed", kill=point) == -signal.SIGKILL, workers.words
    go_on(workers)
    assert [row.retries.count() for row in failed] == [1] * ROWS


@pytest.mark.parametrize("point", DELETIONS.values(), ids=DELETIONS)
def test_a_deletion_is_counted_once(point: KillPoint, workers: Workers, failed: list[Any]) -> None:
    assert workers.run("delete_failed", kill=point) == -signal.SIGKILL, workers.words
    go_on(workers)
    assert Generation.objects.count() == 0


def go_on(workers: Workers) -> None:
    """Have a sweep find the job once its lease has run out."""
    BulkJob.objects.filter(state="running").update(due_at=clock.now())
    assert workers.run("sweep_all") == 0, workers.words
    job = BulkJob.objects.get()
    assert (job.state, job.done, job.failed) == ("done", ROWS, 0)
