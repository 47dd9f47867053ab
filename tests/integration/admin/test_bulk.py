"""Bulk retry, cancel and delete in the admin: the question, the job it starts, the job's page."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import ProtectedError
from django.test import Client
from django.test.utils import CaptureQueriesContext

from creatify_textgen import bulk, clock
from creatify_textgen.clock import TimeLimit
from creatify_textgen.models import BulkJob, Generation
from creatify_textgen.models.querysets import GenerationQuerySet
from tests import factories

from .conftest import HISTORY, make_done, page_of

JOBS = "/admin/creatify_textgen/bulkjob/"
FUTURE = datetime.now(UTC) + timedelta(days=900)


def ask(client: Client, verb: str = "retry", query: str = "", **form: Any) -> Any:
    path = f"{HISTORY}bulk/{verb}/?{query}"
    return client.post(path, form, follow=True) if form else client.get(path)


def hidden_in(page: Any) -> dict[str, str]:
    return dict(re.findall(r'name="(job|confirmed)" value="([^"]+)"', page.text))


def act(client: Client, verb: str = "retry", query: str = "") -> Any:
    """Open the page that asks, then press its button."""
    return ask(client, verb, query, **hidden_in(ask(client, verb, query)))


def select(client: Client, action: str, *rows: Generation, path: str = HISTORY, **more: str) -> Any:
    selected = [str(row.pk) for row in rows]
    form = {"action": action, "_selected_action": selected, **more}
    return client.post(path, form, follow=True)


def delete(client: Client, *rows: Generation, **more: str) -> Any:
    hidden = hidden_in(select(client, "delete_selected", *rows, **more))
    return select(client, "delete_selected", *rows, **hidden, **more)


class TestQuestion:
    def test_says_what_a_retry_would_cost(self, operator: Client) -> None:
        for cost in ("1", "2", "3"):
            make_done(model_name="gemini", credits_used=Decimal(cost), created_at=clock.now())
        page = ask(operator)
        assert "3 new generations will be sent" in page.text
        assert "That will probably cost 6 credits, and hardly more than 9." in page.text

    def test_does_not_invent_a_cost(self, operator: Client) -> None:
        make_done(status="failed", credits_used=None)
        assert "The cost is not known" in ask(operator).text

    def test_warns_of_what_was_retried_before(self, operator: Client) -> None:
        make_done(retry_of=make_done())
        assert "They were retried 1 time before" in ask(operator).text

    def test_counts_what_is_left_out(self, operator: Client) -> None:
        factories.make_generation()
        assert "1 is left out" in ask(operator, "retry").text
        assert "1 queued generation will be cancelled" in ask(operator, "cancel").text
        assert "1 of them is not final yet" in ask(operator, "delete").text

    def test_starts_nothing(self, operator: Client) -> None:
        make_done()
        ask(operator)
        assert BulkJob.objects.count() == 0

    @pytest.mark.parametrize("verb", ["retry", "cancel", "delete"])
    def test_loads_no_row(self, operator: Client, verb: str) -> None:
        make_done()
        with CaptureQueriesContext(connection) as queries:
            ask(operator, verb)
        reads = [q["sql"] for q in queries if '"excerpt"' in q["sql"] and "COUNT" not in q["sql"]]
        # What the filters offer comes from the list, which shows a page of rows.
        assert [sql for sql in reads if "LIMIT" not in sql] == []
        assert not [
            q for q in queries if "generationcontent" in q["sql"] and "LIMIT" not in q["sql"]
        ]

    @pytest.mark.parametrize(
        ("verb", "query", "status"),
        [("burn", "", 404), ("retry", "excerpt__startswith=a", 400), ("retry", "since=x", 404)],
    )
    def test_of_nonsense_is_refused(
        self, operator: Client, verb: str, query: str, status: int
    ) -> None:
        assert ask(operator, verb, query).status_code == status


class TestStart:
    def test_does_a_few_at_once(self, operator: Client) -> None:
        rows = [make_done(), make_done()]
        page = act(operator)
        assert "2 generations were asked again." in page.text
        assert [row.retries.count() for row in rows] == [1, 1]

    def test_takes_what_the_filter_shows(self, operator: Client) -> None:
        failed, done = make_done(status="failed"), make_done()
        act(operator, query="status__exact=failed")
        assert (failed.retries.count(), done.retries.count()) == (1, 0)
        assert BulkJob.objects.get().query == "status__exact=failed"

    def test_leaves_the_rest_to_a_worker(
        self, operator: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("creatify_textgen.admin.bulk.INLINE_SECONDS", -1)
        monkeypatch.setattr("creatify_textgen.enqueue.bulk", lambda _, **__: None)
        make_done()
        page = act(operator)
        job = BulkJob.objects.get()
        assert page.redirect_chain == [(f"{JOBS}{job.pk}/change/", 302)]
        assert "0 of 1, 0 failed" in page.text
        assert '<meta http-equiv="refresh"' in page.text

    def test_is_one_job_however_often_the_button_is_pressed(self, operator: Client) -> None:
        row = make_done()
        hidden = hidden_in(ask(operator))
        for _press in range(2):
            ask(operator, **hidden)
        assert (BulkJob.objects.count(), row.retries.count()) == (1, 1)

    def test_shows_what_could_not_be_done(
        self, operator: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(queryset: Any) -> None:
            raise ProtectedError("A host's row needs it.", set())

        monkeypatch.setattr(GenerationQuerySet, "delete", refuse)
        row = make_done()
        page = delete(operator, row)
        assert "protected" in page.text
        assert page_of(row) in page.text

    @pytest.mark.parametrize("confirmed", ["", "x", "2026-13-40T00:00:00Z", "2026-01-01T00:00:00"])
    def test_without_a_confirmation_asks_again(self, operator: Client, confirmed: str) -> None:
        make_done()
        page = ask(operator, confirmed=confirmed, job=str(uuid.uuid4()))
        assert "1 new generation" in page.text
        assert BulkJob.objects.count() == 0

    def test_takes_nothing_from_the_future(self, operator: Client) -> None:
        make_done(created_at=FUTURE)
        ask(operator, confirmed="2999-01-01T00:00:00Z", job=str(uuid.uuid4()))
        assert BulkJob.objects.get().total == 0

    @pytest.mark.parametrize("missing", ["view_generation", "operate_generation"])
    def test_is_refused_without_the_permission(
        self, staff_with: Callable[..., Client], missing: str
    ) -> None:
        make_done()
        client = staff_with(*{"view_generation", "operate_generation"} - {missing})
        assert ask(client).status_code == 403
        assert ask(client, job=str(uuid.uuid4()), confirmed=FUTURE.isoformat()).status_code == 403
        assert BulkJob.objects.count() == 0


class TestSelected:
    @pytest.mark.parametrize(("action", "verb"), [("retry", "new"), ("cancel", "left out")])
    def test_by_more_than_one_request_can_do_are_a_job(
        self, operator: Client, monkeypatch: pytest.MonkeyPatch, action: str, verb: str
    ) -> None:
        monkeypatch.setattr("creatify_textgen.admin.operations.MOST_ROWS", 1)
        rows = [make_done(), make_done()]
        page = select(operator, f"{action}_selected", rows[0], select_across="1")
        assert verb in page.text
        select(operator, f"{action}_selected", rows[0], select_across="1", **hidden_in(page))
        assert BulkJob.objects.get().verb == action


class TestDeletion:
    def test_takes_what_is_final(self, operator: Client) -> None:
        page = delete(operator, make_done(), make_done())
        assert "2 generations were deleted." in page.text
        assert Generation.objects.count() == 0

    def test_spares_what_is_under_way(self, operator: Client) -> None:
        row = factories.make_generation(status="pending")
        delete(operator, row)
        assert Generation.objects.count() == 1

    def test_takes_only_what_the_filter_shows(self, operator: Client) -> None:
        failed, done = make_done(status="failed"), make_done()
        delete(operator, failed, path=f"{HISTORY}?status__exact=failed", select_across="1")
        assert list(Generation.objects.all()) == [done]

    def test_spares_what_ended_after_the_question(self, operator: Client) -> None:
        row = make_done()
        hidden = hidden_in(select(operator, "delete_selected", row))
        late = make_done(finished_at=FUTURE)
        select(operator, "delete_selected", row, select_across="1", **hidden)
        assert list(Generation.objects.all()) == [late]

    def test_is_noted_with_who_did_it(self, operator: Client) -> None:
        delete(operator, make_done())
        job = BulkJob.objects.get()
        assert (job.verb, job.done) == ("delete", 1)
        assert job.requested_by == User.objects.get()

    def test_is_in_the_admins_own_history(self, operator: Client) -> None:
        delete(operator, make_done(), make_done())
        entry = LogEntry.objects.get()
        assert (entry.user, entry.action_flag) == (User.objects.get(), DELETION)
        assert entry.content_type is not None
        assert entry.content_type.model_class() is Generation
        assert entry.object_repr == "2 generations"
        assert str(BulkJob.objects.get().pk) in entry.change_message

    def test_that_a_worker_ends_is_in_that_history_too(
        self, operator: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("creatify_textgen.admin.bulk.INLINE_SECONDS", -1)
        monkeypatch.setattr("creatify_textgen.enqueue.bulk", lambda _, **__: None)
        delete(operator, make_done())
        assert not LogEntry.objects.exists()
        bulk.go_on(BulkJob.objects.get().pk)
        assert LogEntry.objects.get().object_repr == "1 generation"

    def test_that_is_stopped_is_in_that_history_too(self, operator: Client) -> None:
        staff = User.objects.get()
        job = BulkJob.objects.create(
            verb="delete",
            requested_by=staff,
            total=9,
            done=4,
            until=clock.now(),
            due_at=clock.now(),
        )
        bulk.stop(job)
        assert LogEntry.objects.get().object_repr == "4 generations"

    @pytest.mark.parametrize("is_stopped", [True, False], ids=["after a stop", "while it runs"])
    def test_that_is_resumed_is_there_with_the_share_of_each_person(
        self, operator: Client, monkeypatch: pytest.MonkeyPatch, is_stopped: bool
    ) -> None:
        monkeypatch.setattr("creatify_textgen.enqueue.bulk", lambda _, **__: None)
        monkeypatch.setattr("creatify_textgen.bulk.work.STEP", 2)
        first, second = User.objects.get(), User.objects.create_superuser("second")
        for _ in range(5):
            make_done()
        rows = Generation.objects.all()
        job = bulk.start(rows, verb="delete", by=first, until=clock.now())
        with monkeypatch.context() as patch:
            patch.setattr(TimeLimit, "is_over", property(lambda _: rows.count() < 5))
            bulk.go_on(job.pk)
        if is_stopped:
            bulk.stop(job)
        bulk.resume(job, by=second)
        bulk.go_on(job.pk)
        entries = LogEntry.objects.order_by("pk").values_list("user", "object_repr")
        assert list(entries) == [(first.pk, "2 generations"), (second.pk, "3 generations")]

    @pytest.mark.parametrize("verb", ["retry", "cancel"])
    def test_alone_is_in_that_history(self, operator: Client, verb: str) -> None:
        make_done()
        factories.make_generation()
        act(operator, verb)
        assert not LogEntry.objects.filter(action_flag=DELETION).exists()

    def test_of_nothing_is_not_in_that_history(self, operator: Client) -> None:
        act(operator, "delete")
        assert not LogEntry.objects.exists()

    def test_is_no_action_for_who_may_not(self, staff_with: Callable[..., Client]) -> None:
        row = make_done()
        hidden = {"job": str(uuid.uuid4()), "confirmed": datetime.now(UTC).isoformat()}
        select(staff_with("view_generation"), "delete_selected", row, **hidden)
        assert Generation.objects.count() == 1

    def test_of_one_under_way_is_refused(self, operator: Client) -> None:
        row = factories.make_generation(status="running")
        response = operator.post(page_of(row, action="delete"), {"post": "yes"})
        assert (response.status_code, Generation.objects.count()) == (403, 1)

    def test_needs_the_permission(self, staff_with: Callable[..., Client]) -> None:
        row = make_done()
        response = staff_with("view_generation").post(
            page_of(row, action="delete"), {"post": "yes"}
        )
        assert (response.status_code, Generation.objects.count()) == (403, 1)


@pytest.fixture
def job(operator: Client) -> BulkJob:
    """Return a job of two rows that nobody has begun."""
    for _ in range(2):
        make_done()
    staff = User.objects.get()
    rows = Generation.objects.all()
    return bulk.start(rows, verb="retry", by=staff, until=clock.now(), query="q=secret")


class TestJobPage:
    def button(self, client: Client, job: BulkJob, verb: str) -> Any:
        return client.post(f"{JOBS}{job.pk}/{verb}/", follow=True)

    def test_stops_it(self, operator: Client, job: BulkJob) -> None:
        assert "The job was stopped." in self.button(operator, job, "stop").text
        job.refresh_from_db()
        assert job.state == "stopped"

    def test_has_it_go_on(
        self, operator: Client, job: BulkJob, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[Any] = []
        monkeypatch.setattr("creatify_textgen.enqueue.bulk", asked.append)
        bulk.stop(job)
        assert "The job goes on." in self.button(operator, job, "resume").text
        assert asked == [job.pk]

    def test_says_that_it_has_ended(self, operator: Client, job: BulkJob) -> None:
        bulk.go_on(job.pk)
        assert "has ended already" in self.button(operator, job, "stop").text

    def test_has_no_buttons_for_who_may_not(
        self, staff_with: Callable[..., Client], job: BulkJob
    ) -> None:
        client = staff_with("view_generation", "delete_generation")
        assert "/stop/" not in client.get(f"{JOBS}{job.pk}/change/").text
        assert client.post(f"{JOBS}{job.pk}/stop/").status_code == 403

    def test_hides_filters_from_who_may_not_read_content(
        self, staff_with: Callable[..., Client], operator: Client, job: BulkJob
    ) -> None:
        page = f"{JOBS}{job.pk}/change/"
        assert "q=secret" in operator.get(page).text
        assert "secret" not in staff_with("view_generation").get(page).text

    def test_is_listed(self, operator: Client, job: BulkJob) -> None:
        assert "0 of 2, 0 failed" in operator.get(JOBS).text

    @pytest.mark.parametrize("path", ["bulkjob", "toolcall", "generation"])
    def test_has_the_style_sheet_of_all_pages(self, admin_client: Client, path: str) -> None:
        page = admin_client.get(f"/admin/creatify_textgen/{path}/").text
        assert "creatify_textgen/admin.css" in page
