"""Old content goes in slices; rows, costs and timelines stay."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.storage import InMemoryStorage
from django.core.management import call_command
from django.core.management.base import CommandError

from creatify_textgen import lifecycle, retention, services
from creatify_textgen.exceptions import RequestError
from creatify_textgen.lifecycle import Arrival, Outcome
from creatify_textgen.models import (
    BulkJob,
    Generation,
    GenerationContent,
    Media,
    SweepSchedule,
    UsageDay,
)
from creatify_textgen.retention import pruning
from creatify_textgen.states import Cause, Mode, Status
from tests.factories import NOW

from .conftest import Make, has_content, stored_files

pytestmark = pytest.mark.django_db


def prune(days: int = 30, **options: Any) -> retention.PruneReport:
    return retention.prune(older_than_days=days, **options)


class LaggingReplica:
    """A router that sends reads to a database without any row."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "replica"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"


class TestFilters:
    def test_of_old_bulk_jobs_go(self) -> None:
        for days in (None, 31, 29):
            at = None if days is None else NOW - timedelta(days=days)
            BulkJob.objects.create(verb="retry", until=NOW, due_at=NOW, finished_at=at, query="q=a")
        prune()
        jobs = BulkJob.objects.order_by("finished_at").exclude(finished_at=None)
        assert list(jobs.values_list("query", flat=True)) == ["", "q=a"]
        assert BulkJob.objects.get(finished_at=None).query == "q=a"


class TestOldContent:
    def test_goes_and_leaves_the_row_its_cost_and_its_timeline(self, make: Make) -> None:
        row = make(days=31, remote_id="r1")
        report = prune()
        assert (report.generations, report.is_complete) == (1, True)
        assert not has_content(row)
        assert not GenerationContent.objects.exists()
        row.refresh_from_db()
        assert (row.status, row.credits_used, row.remote_id) == ("done", Decimal("0.5"), "r1")
        assert (row.content_removed_at, row.fingerprint) == (NOW, "")
        event = row.events.get()
        assert (event.status, event.cause, event.at) == ("done", Cause.RETENTION, NOW)
        assert event.detail == "content removed after 30 days"

    @pytest.mark.parametrize(
        ("fields", "goes"),
        [
            ({"days": 31}, True),
            ({"days": 29}, False),
            ({"days": 31, "finished_at": NOW - timedelta(days=1)}, False),
            ({"days": 31, "status": Status.EXPIRED, "finished_at": None}, True),
            ({"days": 31, "status": Status.PENDING, "finished_at": None}, False),
            ({"days": 31, "status": Status.UNCONFIRMED, "finished_at": None}, False),
        ],
        ids=["old", "young", "ended lately", "expired", "pending", "unconfirmed"],
    )
    def test_is_of_what_has_ended_long_ago(
        self, make: Make, fields: dict[str, Any], *, goes: bool
    ) -> None:
        row = make(**fields)
        assert prune(dry_run=True).generations == int(goes)
        assert prune().generations == int(goes)
        assert has_content(row) is not goes

    def test_goes_once(self, make: Make) -> None:
        row = make(days=31)
        prune()
        assert prune() == retention.PruneReport()
        assert row.events.count() == 1

    def test_goes_in_slices_that_continue_where_the_last_run_was_stopped(
        self, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pruning, "SLICE", 2)
        for days in (35, 35, 35, 34, 33):
            make(days=days)
        stopped = prune(time_limit=0)
        assert (stopped.generations, stopped.is_complete) == (2, False)
        assert prune().generations == 3
        assert not GenerationContent.objects.exists()

    def test_keeps_the_fingerprint_while_the_cost_is_not_known(self, make: Make) -> None:
        row = make(days=31, status=Status.EXPIRED, finished_at=None, credits_used=None)
        prune()
        row.refresh_from_db()
        assert row.fingerprint

    def test_of_an_expired_row_stays_gone_when_its_result_arrives(self, make: Make) -> None:
        row = make(days=31, status=Status.EXPIRED, finished_at=None, credits_used=None)
        prune()
        outcome = Outcome(response_text="Late", credits_used=Decimal("0.25"))
        lifecycle.mark_done(row.pk, cause=Cause.POLL, now=NOW, outcome=outcome)
        row.refresh_from_db()
        assert (row.status, row.credits_used) == ("done", Decimal("0.25"))
        assert not has_content(row)

    def test_is_not_asked_again(self, make: Make) -> None:
        row = make(days=31)
        prune()
        row.refresh_from_db()
        assert not row.can_retry
        with pytest.raises(RequestError) as caught:
            services.retry(row)
        assert caught.value.code == "content_removed"

    def test_reads_as_empty(self, make: Make, django_assert_num_queries: Any) -> None:
        row = make(days=31)
        prune()
        fresh = Generation.objects.select_related("content").get(pk=row.pk)
        with django_assert_num_queries(0):
            assert (fresh.content.messages, fresh.content.response_text) == ([], "")

    def test_leaves_the_sums_as_they_were(self, make: Make) -> None:
        row = make(days=31, status=Status.PENDING, finished_at=None, credits_used=None)
        arrival = Arrival(Outcome(credits_used=Decimal("0.1234567891")))
        lifecycle.mark_arrived(
            {row.pk: arrival}, to=Status.DONE, cause=Cause.POLL, now=NOW - timedelta(days=31)
        )
        before = list(UsageDay.objects.values())
        assert prune().generations == 1
        assert list(UsageDay.objects.values()) == before


class TestMedia:
    def test_go_with_the_last_content_that_used_them(self, make: Make, store: Any) -> None:
        old, shared, lonely = (store(number=n, days=40) for n in range(3))
        make(days=31, media=old)
        make(days=31, media=shared)
        make(days=1, media=shared)
        would = prune(dry_run=True)
        report = prune()
        assert (report.media, report.media_bytes) == (2, old.size + lonely.size)
        assert (would.media, would.media_bytes) == (report.media, report.media_bytes)
        assert list(Media.objects.all()) == [shared]
        assert stored_files() == 1

    def test_stay_while_they_are_young(self, store: Any) -> None:
        store(days=29)
        assert prune().media == 0

    def test_that_are_many_are_given_up_in_several_runs(
        self, store: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pruning, "SLICE", 1)
        for number in range(2):
            store(number=number, days=31)
        assert not prune(time_limit=0).is_complete
        assert Media.objects.exclude(discarded_at=None).count() == 1
        assert prune().media == 2

    def test_share_a_file_until_the_last_row_is_gone(self, store: Any, ada: Any, ben: Any) -> None:
        store(ada, days=40)
        store(ben, days=1)
        assert prune().media == 1
        assert stored_files() == 1

    def test_stay_given_up_while_the_storage_fails(
        self, store: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        media = store(days=40)

        def fail(*_: Any) -> None:
            raise OSError("no route to the storage")

        with monkeypatch.context() as broken:
            broken.setattr(InMemoryStorage, "delete", fail)
            report = prune()
        assert (report.media, report.is_complete) == (0, False)
        assert Media.objects.get().discarded_at == NOW
        assert prune().media == 1
        assert not Media.objects.filter(pk=media.pk).exists()

    def test_that_were_given_up_are_taken_back_by_a_new_upload(self, store: Any, ada: Any) -> None:
        media = store(ada)
        lifecycle.discard_media([media.pk], now=NOW)
        assert store(ada).pk == media.pk
        prune()
        assert Media.objects.get().discarded_at is None
        assert stored_files() == 1

    def test_stay_if_a_replica_does_not_have_the_row_that_uses_them(
        self, make: Make, store: Any, settings: Any
    ) -> None:
        media = store()
        make(days=1, media=media)
        settings.DATABASE_ROUTERS = [LaggingReplica()]
        assert lifecycle.discard_media([media.pk], now=NOW) == 0

    def test_go_if_a_replica_does_not_have_the_row_that_used_them(
        self, make: Make, store: Any, settings: Any
    ) -> None:
        row = make(days=31, media=store())
        settings.DATABASE_ROUTERS = [LaggingReplica()]
        lifecycle.remove_contents([row.pk], now=NOW, detail="test")
        assert Media.objects.get().discarded_at == NOW

    def test_that_were_given_up_are_no_part_of_a_request(self, store: Any, ada: Any) -> None:
        media = store(ada)
        lifecycle.discard_media([media.pk], now=NOW)
        messages = [{"role": "user", "content": [{"type": "image", "media": str(media.pk)}]}]
        with pytest.raises(RequestError):
            services.submit(messages, owner=ada)


class TestKills:
    """What a process leaves that is killed in between is finished by the next."""

    @pytest.mark.parametrize("step", ["_delete", "_note", "_wipe"])
    def test_change_nothing_within_a_slice(
        self, make: Make, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        row = make(days=31)

        def die(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as killed:
            killed.setattr(f"creatify_textgen.lifecycle.contents.{step}", die)
            with pytest.raises(KeyboardInterrupt):
                prune()
        assert has_content(row)
        assert prune().generations == 1
        assert not has_content(row)

    def test_between_a_file_and_its_row_leave_no_file(
        self, store: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store(days=40)
        real = InMemoryStorage.delete

        def delete_and_die(storage: Any, name: str) -> None:
            real(storage, name)
            raise KeyboardInterrupt

        with monkeypatch.context() as killed:
            killed.setattr(InMemoryStorage, "delete", delete_and_die)
            with pytest.raises(KeyboardInterrupt):
                prune()
        assert stored_files() == 0
        assert prune().media == 1
        assert not Media.objects.exists()


class TestSweep:
    @pytest.fixture(autouse=True)
    def _schedule(self, settings: Any) -> None:
        SweepSchedule.objects.get_or_create(pk=1)
        settings.CREATIFY_TEXTGEN = {
            **settings.CREATIFY_TEXTGEN,
            "CONTENT_RETENTION_DAYS": 30,
        }

    def test_prunes_as_the_setting_says(self, make: Make) -> None:
        old, young = make(days=31), make(days=29)
        services.sweep()
        assert (has_content(old), has_content(young)) == (False, True)

    def test_prunes_now_and_then(self, make: Make) -> None:
        services.sweep()
        row = make(days=31)
        services.sweep()
        assert has_content(row)

    def test_deletes_what_was_given_up_without_the_setting(
        self, settings: Any, make: Make, store: Any
    ) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "CONTENT_RETENTION_DAYS": None}
        row, media = make(days=31), store()
        lifecycle.discard_media([media.pk], now=NOW)
        services.sweep()
        assert (has_content(row), Media.objects.count()) == (True, 0)


class TestVerb:
    def test_takes_the_days_of_the_setting(self, settings: Any, make: Make) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "CONTENT_RETENTION_DAYS": 30}
        make(days=31)
        assert services.prune(dry_run=True).generations == 1
        assert services.prune(older_than_days=40, dry_run=True).generations == 0

    @pytest.mark.parametrize("days", [None, 0, -1, True, 40_000, "30"])
    def test_refuses_what_is_no_number_of_days(self, days: Any) -> None:
        with pytest.raises(RequestError) as caught:
            services.prune(older_than_days=days)
        assert list(caught.value.errors) == ["older_than_days"]


class TestCommand:
    def test_counts_then_removes(self, make: Make, capsys: Any) -> None:
        row = make(days=31, mode=Mode.STREAM)
        call_command("textgen_prune", older_than=30, dry_run=True)
        assert "Would remove the content of 1 generations and 0 media" in capsys.readouterr().out
        assert has_content(row)
        call_command("textgen_prune", older_than=30)
        assert "Removed the content of 1 generations" in capsys.readouterr().out
        assert not has_content(row)

    def test_says_what_is_missing(self) -> None:
        with pytest.raises(CommandError, match="--older-than"):
            call_command("textgen_prune")
