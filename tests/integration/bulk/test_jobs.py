"""Jobs that retry, cancel or delete many generations: each once, restartable, within the rules."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.db.models import ProtectedError

from creatify_textgen import bulk, clock, databases, enqueue, services
from creatify_textgen.bulk import work
from creatify_textgen.clock import TimeLimit
from creatify_textgen.exceptions import PolicyRefusal, TransitionError
from creatify_textgen.models import Budget, BulkJob, BulkSlice, Generation
from creatify_textgen.models.querysets import GenerationQuerySet
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def published(monkeypatch: pytest.MonkeyPatch) -> list[tuple[uuid.UUID, float]]:
    """Keep what would be published, and with which delay; nothing runs by itself."""
    found: list[tuple[uuid.UUID, float]] = []

    def publish(job_id: uuid.UUID, *, delay_seconds: float = 0) -> None:
        found.append((job_id, delay_seconds))

    monkeypatch.setattr(enqueue, "bulk", publish)
    monkeypatch.setattr(enqueue, "submit", lambda _: None)
    return found


@pytest.fixture
def staff() -> User:
    user = User.objects.create_user("staff", is_staff=True)
    names = ("view_generation", "operate_generation", "delete_generation")
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    return user


def make_failed(count: int = 1, **fields: Any) -> list[Generation]:
    row = {"status": "failed", "finished_at": factories.NOW, **fields}
    return [factories.make_generation(**row) for _ in range(count)]


def start(user: Any, verb: str = "retry", **options: Any) -> BulkJob:
    rows = Generation.objects.all()
    return bulk.start(rows, verb=verb, by=user, until=clock.now(), **options)


def work_on(job: BulkJob, **options: Any) -> BulkJob:
    bulk.go_on(job.pk, **options)
    return BulkJob.objects.get(pk=job.pk)


def due(job: BulkJob) -> BulkJob:
    """Let the time pass that a job waits."""
    BulkJob.objects.update(due_at=clock.now())
    return job


def keys_of(one: BulkSlice) -> list[uuid.UUID]:
    packed = bytes(one.keys)
    return [uuid.UUID(bytes=packed[at : at + 16]) for at in range(0, len(packed), 16)]


class Refused:
    """A host's rule that refuses some models for half a minute."""

    def __init__(self) -> None:
        self.models: set[str] = set()
        self.asked = 0
        self.then: Callable[[], object] = lambda: None

    def __call__(self, user: Any, request: Any, *, door: str) -> None:
        self.asked += 1
        if request.model_name in self.models:
            self.then()
            raise PolicyRefusal("Later.", code="busy", status=429, retry_after=30)


class TestStart:
    def test_keeps_the_ids_of_what_can_be_done(self, staff: User) -> None:
        make_failed(2)
        factories.make_generation(status="pending")
        assert start(staff).total == 2

    def test_leaves_out_what_came_or_ended_later(self, staff: User) -> None:
        later = clock.now() + timedelta(hours=1)
        make_failed(1, created_at=later)
        make_failed(1, finished_at=later)
        assert start(staff).total == 0

    def test_adds_nothing_later(self, staff: User) -> None:
        make_failed()
        job = start(staff)
        make_failed()
        assert work_on(job).done == 1

    def test_is_one_job_however_often_it_is_called(self, staff: User) -> None:
        make_failed()
        job_id = uuid.uuid4()
        assert [start(staff, job_id=job_id).pk for _ in range(2)] == [job_id, job_id]
        assert BulkJob.objects.count() == 1

    def test_takes_every_row_of_one_moment_once(
        self, staff: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("creatify_textgen.bulk.selection.SLICE", 2)
        make_failed(5)
        job = start(staff)
        assert BulkSlice.objects.count() == 3
        job = work_on(job)
        assert (job.state, job.done) == ("done", 5)

    def test_fills_each_slice_but_the_last(
        self, staff: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("creatify_textgen.bulk.selection.SLICE", 2)
        make_failed(1)

        def add_one(execute: Any, sql: str, *rest: Any) -> Any:
            # A row that the first slice has not seen and the second one sees.
            result = execute(sql, *rest)
            if "ORDER BY" in sql and Generation.objects.count() < 4:
                make_failed(1)
            return result

        with connection.execute_wrapper(add_one):
            job = start(staff)
        assert job.total > 1
        sizes = [len(one.keys) // 16 for one in BulkSlice.objects.order_by("number")]
        assert sizes[:-1] == [2] * (len(sizes) - 1)
        job = work_on(job)
        assert (job.state, job.done) == ("done", job.total)


class TestRetry:
    def test_keeps_no_ids_once_all_are_done(self, staff: User) -> None:
        make_failed(2)
        job = work_on(start(staff))
        assert (job.state, BulkSlice.objects.count()) == ("done", 0)

    def test_asks_each_once(self, staff: User) -> None:
        rows = make_failed(3)
        job = work_on(start(staff))
        assert (job.state, job.done, job.failed) == ("done", 3, 0)
        assert [row.retries.count() for row in rows] == [1, 1, 1]

    def test_counts_what_is_refused_and_goes_on(self, staff: User) -> None:
        Budget.objects.create(name="All", unit="generations", limit=2, period="total")
        make_failed(3)
        job = work_on(start(staff))
        assert (job.state, job.done, job.failed) == ("done", 2, 1)
        assert job.failures["budget_reached"]["count"] == 1

    def test_waits_while_a_limit_is_reached(self, staff: User, settings: Any) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "LIMITS": {"in_flight": 2}}
        make_failed(3, owner=staff)
        job = work_on(start(staff))
        assert (job.state, job.done, job.error_code) == ("running", 2, "too_many_in_flight")
        Generation.objects.filter(status="queued").update(status="cancelled")
        assert work_on(due(job)).state == "done"

    def test_waits_while_sending_is_paused(self, staff: User) -> None:
        make_failed()
        job = start(staff)
        services.pause_sending(by=staff)
        assert work_on(job).error_code == "paused"
        services.resume_sending()
        job = work_on(due(job))
        assert (job.state, job.error_code) == ("done", "")

    def test_of_one_that_is_gone_is_counted(self, staff: User) -> None:
        key = make_failed()[0].pk
        job = start(staff)
        Generation.objects.all().delete()
        assert work_on(job).failures == {"not_found": {"count": 1, "examples": [str(key)]}}

    def test_of_one_with_a_bug_keeps_no_other_waiting(
        self, staff: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows = make_failed(2)
        real = work.retry_linked

        def retry(row: Generation, **options: Any) -> Generation:
            if row.pk == rows[0].pk:
                raise KeyError("bug")
            return real(row, **options)

        monkeypatch.setattr(work, "retry_linked", retry)
        job = work_on(start(staff))
        assert (job.done, list(job.failures)) == (1, ["internal_error"])

    def test_is_not_saved_by_a_process_that_lost_its_claim(
        self, staff: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_failed(2)
        job = start(staff)
        real = work.retry_linked

        def retry(row: Generation, **options: Any) -> Generation:
            BulkJob.objects.update(claim=uuid.uuid4())
            return real(row, **options)

        monkeypatch.setattr(work, "retry_linked", retry)
        assert work_on(job).done == 0
        assert Generation.objects.filter(retry_of__isnull=False).count() == 0


class TestRefusalForNow:
    """What is refused for now is tried later, and keeps no other waiting."""

    @pytest.fixture
    def refused(self, settings: Any) -> Refused:
        rule = Refused()
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "POLICY": rule}
        return rule

    @pytest.mark.parametrize("size", [2, 1000])
    def test_keeps_no_other_waiting(
        self, staff: User, refused: Refused, monkeypatch: pytest.MonkeyPatch, size: int
    ) -> None:
        monkeypatch.setattr("creatify_textgen.bulk.selection.SLICE", size)
        rows = [make_failed(model_name=name)[0] for name in ("b", "a", "b", "a", "b")]
        refused.models = {"b"}
        job = work_on(start(staff))
        assert (job.state, job.done, job.failed, job.error_code) == ("running", 2, 0, "busy")
        assert [row.retries.count() for row in rows] == [0, 1, 0, 1, 0]
        refused.models = set()
        job = work_on(due(job))
        assert (job.state, job.done, job.failed, job.error_code) == ("done", 5, 0, "")
        assert [row.retries.count() for row in rows] == [1] * 5

    def test_is_waited_for_with_a_delay(
        self, staff: User, refused: Refused, published: list[tuple[uuid.UUID, float]]
    ) -> None:
        make_failed(3, model_name="b")
        refused.models = {"b"}
        job = work_on(start(staff))
        assert published == [(job.pk, 30)]
        assert clock.now() < job.due_at <= clock.now() + timedelta(seconds=30)

    def test_is_not_tried_before_it_is_due(self, staff: User, refused: Refused) -> None:
        make_failed(model_name="b")
        refused.models = {"b"}
        job = work_on(start(staff))
        work_on(job)
        assert refused.asked == 1

    def test_in_a_row_is_tried_no_further(
        self, staff: User, refused: Refused, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(work, "MOST_REFUSALS", 2)
        make_failed(5, model_name="b")
        refused.models = {"b"}
        job = work_on(start(staff))
        assert (job.state, refused.asked) == ("running", 2)
        keys = {key for one in BulkSlice.objects.all() for key in keys_of(one)}
        assert keys == set(Generation.objects.values_list("pk", flat=True))

    def test_until_the_time_is_up_is_waited_for(
        self,
        staff: User,
        refused: Refused,
        published: list[tuple[uuid.UUID, float]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        make_failed(3, model_name="b")
        refused.models = {"b"}
        monkeypatch.setattr(TimeLimit, "is_over", property(lambda _: refused.asked > 0))
        job = work_on(start(staff))
        assert (job.state, refused.asked, published) == ("running", 1, [(job.pk, 30)])

    def test_is_refused_in_the_end(self, staff: User, refused: Refused) -> None:
        make_failed(2, model_name="b")
        refused.models = {"b"}
        job = work_on(start(staff))
        BulkJob.objects.update(created_at=clock.now() - work.LONGEST_WAIT)
        job = work_on(due(job))
        assert (job.state, job.done, job.failed) == ("done", 0, 2)
        assert job.failures["busy"]["count"] == 2

    def test_moves_nothing_for_a_process_that_lost_its_claim(
        self, staff: User, refused: Refused
    ) -> None:
        make_failed(3, model_name="b")
        refused.models = {"b"}
        job = start(staff)
        before = [bytes(one.keys) for one in BulkSlice.objects.all()]
        refused.then = lambda: BulkJob.objects.update(claim=uuid.uuid4())
        work_on(job)
        assert [bytes(one.keys) for one in BulkSlice.objects.all()] == before


class TestCancel:
    def test_cancels_what_is_queued(self, staff: User) -> None:
        rows = [factories.make_generation() for _ in range(2)]
        assert work_on(start(staff, "cancel")).done == 2
        assert {row.reloaded().status for row in rows} == {"cancelled"}

    def test_leaves_what_was_sent_meanwhile(self, staff: User) -> None:
        row = factories.make_generation()
        job = start(staff, "cancel")
        Generation.objects.update(status="pending")
        job = work_on(job)
        assert list(job.failures) == ["not_cancellable"]
        assert row.reloaded().status == "pending"


class TestDelete:
    def test_deletes_what_has_ended(self, staff: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("creatify_textgen.bulk.work.STEP", 2)
        make_failed(5)
        kept = factories.make_generation()
        assert work_on(start(staff, "delete")).done == 5
        assert list(Generation.objects.all()) == [kept]

    def test_counts_one_that_others_need_and_deletes_the_rest(
        self, staff: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        needed, _other = make_failed(2)
        real = GenerationQuerySet.delete

        def delete(rows: Any) -> Any:
            if rows.filter(pk=needed.pk).exists():
                raise ProtectedError("A host's row needs it.", set())
            return real(rows)

        monkeypatch.setattr(GenerationQuerySet, "delete", delete)
        job = work_on(start(staff, "delete"))
        assert (job.done, job.failures["protected"]["count"]) == (1, 1)
        assert list(Generation.objects.all()) == [needed]


class TestPermission:
    @pytest.mark.parametrize(
        ("verb", "lost"),
        [
            ("retry", "operate_generation"),
            ("cancel", "operate_generation"),
            ("delete", "delete_generation"),
            ("delete", "view_generation"),
        ],
    )
    def test_that_is_lost_ends_the_job(self, staff: User, verb: str, lost: str) -> None:
        make_failed()
        factories.make_generation()
        job = start(staff, verb)
        staff.user_permissions.remove(Permission.objects.get(codename=lost))
        job = work_on(job)
        assert (job.state, job.error_code, job.handled) == ("failed", "permission_lost", 0)

    @pytest.mark.parametrize("change", [{"is_active": False}, {"is_staff": False}, None])
    def test_is_lost_with_the_user(self, staff: User, change: dict[str, bool] | None) -> None:
        make_failed()
        job = start(staff)
        User.objects.filter(pk=staff.pk).update(**change) if change else staff.delete()
        assert work_on(job).error_code == "permission_lost"

    def test_of_whoever_resumes_holds_from_then_on(self, staff: User) -> None:
        make_failed()
        job = start(User.objects.create_user("nobody"))
        failed = work_on(job)
        assert failed.state == "failed"
        assert work_on(bulk.resume(failed, by=staff)).state == "done"


class TestGoOn:
    def test_hands_over_when_its_time_is_up(
        self, staff: User, published: list[tuple[uuid.UUID, float]]
    ) -> None:
        make_failed(2)
        job = work_on(start(staff), time_limit=-1)
        assert (job.state, job.claim, job.handled, published) == (
            *("running", None, 0),
            [(job.pk, 0)],
        )

    def test_leaves_a_job_that_another_process_has(self, staff: User) -> None:
        make_failed()
        job = start(staff)
        assert work.claim_job(job.pk) is not None
        assert work_on(job).handled == 0

    def test_stops_where_a_person_has_stopped_it(
        self, staff: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_failed(3)
        job = start(staff)
        real = work.retry_linked

        def retry(row: Generation, **options: Any) -> Generation:
            made = real(row, **options)
            bulk.stop(BulkJob.objects.get())
            return made

        monkeypatch.setattr(work, "retry_linked", retry)
        job = work_on(job)
        assert (job.state, job.done) == ("stopped", 1)
        monkeypatch.setattr(work, "retry_linked", real)
        assert work_on(bulk.resume(job, by=staff)).done == 3
        assert Generation.objects.filter(retry_of__isnull=False).count() == 3

    def test_is_reported_as_it_was_saved(self, staff: User) -> None:
        ended: list[tuple[str, Any, Any, Any]] = []

        def note(job: BulkJob, **_: Any) -> None:
            ended.append((job.state, job.finished_at, job.claim, job.due_at))

        make_failed()
        bulk.job_ended.connect(note)
        try:
            job = work_on(start(staff))
        finally:
            bulk.job_ended.disconnect(note)
        assert ended == [("done", job.finished_at, None, None)]

    def test_cannot_be_stopped_at_its_end(self, staff: User) -> None:
        make_failed()
        job = work_on(start(staff))
        for verb in (bulk.stop, lambda job: bulk.resume(job, by=staff)):
            with pytest.raises(TransitionError):
                verb(job)


class TestSweep:
    def test_goes_on_with_a_job_whose_process_died(
        self, staff: User, published: list[tuple[uuid.UUID, float]]
    ) -> None:
        make_failed()
        job = start(staff)
        work.claim_job(job.pk)
        assert bulk.sweep_jobs() == 0
        BulkJob.objects.update(due_at=clock.now())
        assert bulk.sweep_jobs() == 1
        assert published == [(job.pk, 0)]
        assert work_on(job).state == "done"

    def test_does_it_here_for_a_site_without_workers(self, staff: User) -> None:
        make_failed()
        start(staff)
        bulk.sweep_jobs(here=True)
        assert BulkJob.objects.get().state == "done"


class TestTransaction:
    @pytest.mark.parametrize("verb", ["retry", "delete"])
    def test_has_the_level_that_conditional_updates_need(
        self, staff: User, monkeypatch: pytest.MonkeyPatch, verb: str
    ) -> None:
        opened: list[str] = []
        real = databases.short_transaction

        def count() -> Any:
            opened.append("one")
            return real()

        monkeypatch.setattr(databases, "short_transaction", count)
        make_failed()
        job = start(staff, verb)
        assert len(opened) == 1
        work_on(job)
        assert len(opened) > 1
