"""The remote's list against our rows, over a real socket."""

from __future__ import annotations

import logging
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any, ClassVar

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import DataError
from django.utils import timezone

from creatify_textgen import clock, gateway, lifecycle, services, tasks
from creatify_textgen.emulator import Emulator
from creatify_textgen.exceptions import RemoteError, RemoteUnavailableError
from creatify_textgen.logs import SWEEP
from creatify_textgen.models import DeletedGeneration, Generation, GenerationContent, UsageDay
from creatify_textgen.recovery import imports, reconciliation
from creatify_textgen.remote import Listing, RemoteGeneration
from creatify_textgen.states import Mode, Status
from tests.factories import HELLO, let_time_pass, make_generation
from tests.faults.processes import wait_until
from tests.faults.remote_double import RemoteDouble

pytestmark = pytest.mark.django_db(transaction=True)


def sent(prompt: str = "Say hello") -> Generation:
    generation = services.submit(prompt)
    services.send_generation(generation.pk)
    generation.refresh_from_db()
    return generation


def forget(**which: Any) -> None:
    """Let the remote have generations of which this site has never known."""
    Generation.objects.filter(**which).delete()
    DeletedGeneration.objects.all().delete()


class TestReport:
    def test_is_clean_where_both_agree(self, remote: Emulator) -> None:
        services.generate("Say hello")
        report = services.reconcile()
        assert (report.remote_total, report.matched, report.is_clean) == (1, 1, True)

    @pytest.mark.parametrize("style", ["array", "results"])
    def test_counts_what_is_only_at_the_remote(self, remote: Emulator, style: str) -> None:
        remote.switches.set(list_style=style, list_page_size=2)
        for prompt in ("one", "two", "three"):
            services.generate(prompt)
        forget()
        report = services.reconcile()
        assert report.remote_only.count == 3
        assert Generation.objects.count() == 0

    @pytest.mark.parametrize("batch", [1, 2, 500])
    @pytest.mark.parametrize("fix", [False, True])
    def test_counts_once_what_pages_repeat_that_shift(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch, *, batch: int, fix: bool
    ) -> None:
        """A dry run promises no more than is done."""
        monkeypatch.setattr(reconciliation, "BATCH", batch)
        listed = [RemoteGeneration(f"r{at}", "done") for at in (1, 2, 1, 3, 2, 1)]

        def list_again(keep: Any) -> Listing:
            return Listing(tuple(filter(keep, listed)), total=len(listed))

        monkeypatch.setattr(double, "list", list_again)
        report = services.reconcile(fix=fix)
        assert (report.remote_total, report.matched, report.remote_only.count) == (3, 0, 3)
        assert Generation.objects.count() == report.fixed == (3 if fix else 0)

    def test_counts_what_is_only_here(self, remote: Emulator) -> None:
        generation = services.generate("Say hello")
        long_ago = timezone.now() - timedelta(hours=1)
        Generation.objects.update(remote_id="gone", created_at=long_ago, submitted_at=long_ago)
        assert services.reconcile().ours_only.examples == [str(generation.pk)]

    @pytest.mark.parametrize("waited", [0, 60])
    def test_misses_nothing_that_was_sent_while_the_list_was_read(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch, waited: int
    ) -> None:
        def read_for_ten_minutes(keep: Any) -> Listing:
            now = clock.now()
            created_at = now - timedelta(minutes=waited)
            row = make_generation(status=Status.PENDING, remote_id="r1", created_at=created_at)
            Generation.objects.filter(pk=row.pk).update(submitted_at=now)
            monkeypatch.setattr(clock, "now", lambda: now + timedelta(minutes=10))
            return Listing()

        monkeypatch.setattr(double, "list", read_for_ten_minutes)
        assert services.reconcile().ours_only.count == 0

    def test_misses_nothing_that_the_remote_dates_before_the_row(
        self, double: RemoteDouble
    ) -> None:
        since = timezone.now() - timedelta(days=1)
        make_generation(status=Status.DONE, remote_id="r1", created_at=since + timedelta(seconds=1))
        dated = RemoteGeneration("r1", "done", created_at=since - timedelta(seconds=1))
        double.generations = {"r1": dated}
        assert services.reconcile(since=since).ours_only.count == 0

    def test_changes_nothing_unless_asked(self, remote: Emulator) -> None:
        generation = sent()
        remote.finish(generation.remote_id)
        report = services.reconcile()
        generation.refresh_from_db()
        assert report.different_status.count == 1
        assert generation.status == Status.PENDING

    def test_applies_what_came_before_the_list_broke(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        row = make_generation(status=Status.PENDING, remote_id="r1")
        double.generations = {"r1": RemoteGeneration("r1", "done", response_text="Hi")}
        whole = double.list
        broken = RemoteUnavailableError("cut off")
        monkeypatch.setattr(double, "list", lambda keep: whole(keep)._replace(failure=broken))
        with pytest.raises(RemoteUnavailableError):
            services.reconcile(fix=True)
        row.refresh_from_db()
        assert row.status == Status.DONE

    @pytest.mark.parametrize("fix", [False, True])
    def test_shows_what_cannot_be_read(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch, fix: bool
    ) -> None:
        """Whatever it is, it may have been charged."""
        monkeypatch.setattr(double, "list", lambda _: Listing(unreadable=2))
        report = services.reconcile(fix=fix)
        assert (report.unreadable, report.is_clean) == (2, False)
        assert "unreadable: 2" in str(report)
        out = StringIO()
        with pytest.raises(SystemExit):
            call_command("textgen_reconcile", stdout=out)
        assert "2 at the remote that cannot be read" in out.getvalue()

    def test_calls_nothing_absent_that_may_be_unreadable(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_generation(status=Status.DONE, remote_id="r1")
        monkeypatch.setattr(double, "list", lambda _: Listing(unreadable=1))
        assert services.reconcile().ours_only.count == 0

    def test_fails_whole_where_the_list_breaks(self, remote: Emulator) -> None:
        remote.switches.set(error_at_list="502")
        with pytest.raises(RemoteError):
            services.reconcile()


class TestFix:
    def test_finishes_what_the_remote_has_finished(self, remote: Emulator) -> None:
        generation = sent()
        remote.finish(generation.remote_id)
        assert services.reconcile(fix=True).fixed == 1
        generation.refresh_from_db()
        assert (generation.status, generation.events.last().cause) == ("done", "reconcile")

    def test_corrects_credits_and_the_rollup(self, remote: Emulator) -> None:
        generation = services.generate("Say hello")
        right = generation.credits_used
        Generation.objects.update(credits_used=None)
        UsageDay.objects.update(credits_used=0, credits_unknown=1)
        report = services.reconcile(fix=True)
        usage = UsageDay.objects.get()
        generation.refresh_from_db()
        assert report.different_credits.count == 1
        assert generation.credits_used == right
        assert (usage.credits_used, usage.credits_unknown) == (right, 0)

    def test_adopts_a_lost_answer(self, remote: Emulator) -> None:
        remote.switches.set(reset_after_accept=True)
        generation = sent()
        assert generation.status == Status.UNCONFIRMED
        report = services.reconcile(fix=True)
        generation.refresh_from_db()
        assert (report.adopted.count, report.remote_only.count) == (1, 0)
        assert generation.remote_id == remote.generations[0].id

    def test_ends_in_equal_costs(self, remote: Emulator) -> None:
        generation = services.generate("Say hello")
        remote.generations[0].credits_used = 0.1 + 0.2
        assert services.reconcile(fix=True).fixed == 1
        generation.refresh_from_db()
        assert generation.credits_used == Decimal("0.3")
        assert services.reconcile().is_clean

    @pytest.mark.parametrize("fix", [False, True])
    def test_promises_what_it_does(self, double: RemoteDouble, fix: bool) -> None:
        made = services.submit("Say hello")
        rows = [
            make_generation(
                status=Status.UNCONFIRMED,
                attempts=1,
                fingerprint=made.fingerprint,
                submitted_at=timezone.now(),
            )
            for _ in range(3)
        ]
        services.send_generation(made.pk)
        Generation.objects.filter(pk=made.pk).update(remote_id=None, status=Status.QUEUED)
        report = services.reconcile(fix=fix)
        assert (report.adopted.count, report.remote_only.count) == (1, 0)
        ours = Generation.objects.filter(pk__in=[row.pk for row in rows])
        assert ours.exclude(remote_id=None).count() == report.fixed == (1 if fix else 0)


class TestLateAnswer:
    """The remote may call a generation done before it shows the text."""

    CALL: ClassVar = {"name": "f", "args": {}}

    def row(self, **fields: Any) -> Generation:
        given = {"status": Status.DONE, "remote_id": "r1", "credits_used": Decimal(1)}
        return make_generation(**{**given, **fields})

    def have(self, double: RemoteDouble, **fields: Any) -> None:
        given = {"response_text": "Hi", "credits_used": Decimal(1), **fields}
        double.generations = {"r1": RemoteGeneration("r1", "done", **given)}

    @pytest.mark.parametrize("status", [Status.DONE, Status.FAILED])
    @pytest.mark.parametrize(
        "answer", [{"response_text": "Hi"}, {"response_function_calls": [CALL]}]
    )
    def test_is_added(self, double: RemoteDouble, status: Status, answer: dict[str, Any]) -> None:
        row = self.row(status=status)
        self.have(double, **{"response_text": "", **answer})
        assert services.reconcile().missing_answer.count == 1
        assert services.reconcile(fix=True).fixed == 1
        row = Generation.objects.select_related("content").get()
        assert {name: getattr(row.content, name) for name in answer} == answer
        assert (row.status, row.credits_used) == (status, 1)
        assert row.events.last().cause == "reconcile"
        assert services.reconcile(fix=True).missing_answer.count == 0

    def test_takes_the_place_of_no_other(self, double: RemoteDouble) -> None:
        row = self.row()
        GenerationContent.objects.filter(pk=row.pk).update(response_text="Hello")
        self.have(double)
        assert services.reconcile(fix=True).is_clean
        assert GenerationContent.objects.get(pk=row.pk).response_text == "Hello"

    def test_is_not_added_to_what_was_stopped(self, double: RemoteDouble) -> None:
        self.row(mode=Mode.STREAM, partial=True, error_code="stopped")
        self.have(double)
        assert services.reconcile(fix=True).is_clean
        assert GenerationContent.objects.get().response_text == ""

    def test_is_not_added_to_what_was_erased(self, double: RemoteDouble) -> None:
        row = self.row()
        lifecycle.remove_contents([row.pk], now=timezone.now(), detail="erased")
        self.have(double)
        assert services.reconcile(fix=True).is_clean
        assert not GenerationContent.objects.exists()


class TestImport:
    """What the remote has charged and no row has."""

    def test_keeps_answer_and_cost_and_adds_up(self, remote: Emulator) -> None:
        before = services.generate("Say hello")
        forget()
        UsageDay.objects.all().delete()
        report = services.reconcile(fix=True)
        assert (report.remote_only.count, report.fixed) == (1, 1)
        row = Generation.objects.select_related("content").get()
        assert (row.mode, row.status, row.remote_id) == ("imported", "done", before.remote_id)
        assert (row.credits_used, row.model_name) == (before.credits_used, before.model_name)
        assert (row.excerpt, row.owner, row.fingerprint) == ("Say hello", None, before.fingerprint)
        assert row.content.response_text == before.content.response_text
        assert row.content.messages == before.content.messages
        event = row.events.get()
        assert (event.status, event.cause) == ("done", "reconcile")
        usage = UsageDay.objects.get()
        assert (usage.generations, usage.credits_used) == (1, before.credits_used)
        assert services.reconcile().is_clean

    def test_of_a_second_acceptance_is_its_owner_s(self, remote: Emulator) -> None:
        ada = User.objects.create(username="ada")
        first = services.generate("Say hello", owner=ada)
        lost = services.generate("Say hello")
        forget(pk=lost.pk)
        services.reconcile(fix=True)
        imported = Generation.objects.get(mode="imported")
        assert (imported.owner, imported.remote_id) == (ada, lost.remote_id)
        assert first.pk != imported.pk

    def test_of_what_failed_says_why(self, double: RemoteDouble) -> None:
        failed = RemoteGeneration("r1", "failed", failed_reason="overloaded", credits_used=None)
        double.generations = {"r1": failed}
        services.reconcile(fix=True)
        row = Generation.objects.select_related("content").get()
        assert (row.status, row.error_code, row.credits_used) == ("failed", "remote_failed", None)
        assert row.content.failed_reason == "overloaded"
        assert UsageDay.objects.get().credits_unknown == 1

    def test_of_what_is_under_way_is_polled_to_its_end(self, double: RemoteDouble) -> None:
        double.generations = {"r1": RemoteGeneration("r1", "running", messages=HELLO)}
        services.reconcile(fix=True)
        assert Generation.objects.get().status == "running"
        double.advance("r1", "done")
        services.sweep()
        row = Generation.objects.select_related("content").get()
        assert (row.status, row.content.response_text) == ("done", "answer r1")

    @pytest.mark.parametrize("status", [Status.SUBMITTING, Status.UNCONFIRMED, Status.EXPIRED])
    def test_waits_while_it_may_be_another_row_s(
        self, double: RemoteDouble, status: Status
    ) -> None:
        now = timezone.now()
        make_generation(status=status, attempts=1, submitted_at=now)
        changed = RemoteGeneration("r1", "done", messages=HELLO, created_at=now, model_name="x")
        double.generations = {"r1": changed}
        report = services.reconcile(fix=True)
        assert (report.remote_only.count, report.fixed) == (1, 0)
        assert not Generation.objects.filter(mode="imported").exists()

    def test_waits_while_more_rows_wait_than_can_be_compared(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = timezone.now()
        make_generation(status=Status.UNCONFIRMED, attempts=1, submitted_at=now)
        other = [{"role": "user", "content": "Goodbye"}]
        double.generations = {"r1": RemoteGeneration("r1", "done", messages=other, created_at=now)}
        monkeypatch.setattr(imports, "MOST_WAITING", 0)
        assert services.reconcile(fix=True).fixed == 0
        monkeypatch.setattr(imports, "MOST_WAITING", 1)
        assert services.reconcile(fix=True).fixed == 1

    def test_waits_while_it_may_be_a_row_s_of_another_account(self, double: RemoteDouble) -> None:
        """Both accounts have keys of the same workspace."""
        workspace = gateway.workspace_of("default")
        facts = {"account": "other", "workspace": workspace, "attempts": 1}
        make_generation(status=Status.SUBMITTING, submitted_at=timezone.now(), **facts)
        double.generations = {"r1": RemoteGeneration("r1", "done", created_at=timezone.now())}
        assert services.reconcile(fix=True).fixed == 0

    def test_waits_while_a_delivery_of_it_is_looked_up(self, double: RemoteDouble) -> None:
        make_generation(status=Status.UNCONFIRMED, attempts=1, unverified_remote_id="r1")
        double.generations = {"r1": RemoteGeneration("r1", "done")}
        assert services.reconcile(fix=True).fixed == 0

    def test_leaves_what_a_row_of_another_name_for_the_account_has(
        self, double: RemoteDouble
    ) -> None:
        make_generation(status=Status.DONE, remote_id="r1", account="the same workspace")
        double.generations = {"r1": RemoteGeneration("r1", "done")}
        assert services.reconcile(fix=True).remote_only.count == 0

    def test_keeps_no_other_waiting_if_the_database_refuses_one(
        self,
        double: RemoteDouble,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        save = lifecycle.import_generation

        def refuse(generation: Generation, content: Any, **result: Any) -> bool:
            if result["outcome"].remote_id == "r1":
                raise DataError("Failing row contains (the answer)")
            return save(generation, content, **result)

        monkeypatch.setattr(lifecycle, "import_generation", refuse)
        double.generations = {key: RemoteGeneration(key, "done") for key in ("r1", "r2")}
        assert services.reconcile(fix=True).fixed == 1
        assert Generation.objects.get().remote_id == "r2"
        assert "r1 (DataError)" in caplog.text
        assert "the answer" not in caplog.text


class TestUndecided:
    def test_is_shown_for_a_person(self, double: RemoteDouble) -> None:
        row = make_generation(status=Status.EXPIRED, error_code="may_have_been_charged")
        report = services.reconcile(fix=True)
        assert report.may_have_been_charged.examples == [str(row.pk)]
        assert not report.is_clean

    def test_is_left_out_with_what_is_older(self, double: RemoteDouble) -> None:
        make_generation(status=Status.EXPIRED, error_code="may_have_been_charged")
        assert services.reconcile(since=timezone.now()).is_clean


class TestStreamGivenUp:
    """Cut off, absent from the list for minutes, failed, and listed only after that."""

    @pytest.fixture
    def given_up(self, remote: Emulator) -> Generation:
        remote.switches.set(stream_fault="cut_mid_event", stream_listed="at_end", stuck=True)
        with services.stream("Tell me of the sea.") as session:
            list(session)
        generation = session.generation
        services.sweep()
        assert not Generation.objects.get().is_final
        for _ in range(2):
            let_time_pass(generation.pk)
            services.sweep()
        generation.refresh_from_db()
        assert (generation.status, generation.credits_used) == ("failed", None)
        remote.finish(remote.generations[0].id)
        return generation

    def test_is_told(self, given_up: Generation) -> None:
        assert services.reconcile().adopted.examples == [str(given_up.pk)]
        given_up.refresh_from_db()
        assert given_up.credits_used is None

    def test_learns_its_cost_and_its_answer(self, given_up: Generation, remote: Emulator) -> None:
        assert services.reconcile(fix=True).fixed == 1
        row = Generation.objects.select_related("content").get()
        [generation] = remote.generations
        assert (row.status, row.remote_id, row.partial) == ("failed", generation.id, False)
        assert float(row.credits_used or 0) == generation.credits_used
        assert row.content.response_text == generation.response_text
        assert UsageDay.objects.get().credits_unknown == 0
        assert services.reconcile().is_clean

    def test_leaves_a_living_pump_alone(self, remote: Emulator) -> None:
        """Whatever the list says of an equal prompt; the pump has the receipt in a moment."""
        services.generate("Tell me of the sea.")
        forget()
        remote.switches.set(chunk_count=6, chunk_interval=0.05)
        with services.stream("Tell me of the sea.") as session:
            next(session)
            wait_until(lambda: Generation.objects.get().status == "running")
            assert services.reconcile(fix=True).adopted.count == 0
            list(session)
        row = Generation.objects.get()
        assert (row.status, row.remote_id) == ("done", remote.generations[-1].id)

    def test_may_have_been_blocked(self, remote: Emulator) -> None:
        """What we received ourselves is why it failed, and no difference from the remote's word."""
        remote.switches.set(stream_content="safety")
        with services.stream("Tell me of the sea.") as session:
            list(session)
        assert session.generation.error_code == "blocked"
        assert services.reconcile().is_clean


class TestTask:
    def test_says_in_the_log_what_it_found(
        self, remote: Emulator, caplog: pytest.LogCaptureFixture
    ) -> None:
        services.generate("Say hello")
        caplog.set_level(logging.WARNING, logger=SWEEP.name)
        tasks.reconcile(fix=True)
        forget()
        tasks.reconcile(fix=True)
        reported = [record.message for record in caplog.records if record.name == SWEEP.name]
        [line] = reported
        assert "remote_only: 1" in line


class TestCommand:
    def test_exits_1_on_differences(self, remote: Emulator) -> None:
        services.generate("Say hello")
        Generation.objects.update(credits_used=Decimal(7))
        out = StringIO()
        with pytest.raises(SystemExit):
            call_command("textgen_reconcile", stdout=out)
        assert "1 with other credits" in out.getvalue()

    def test_fixes(self, remote: Emulator) -> None:
        services.generate("Say hello")
        Generation.objects.update(credits_used=Decimal(7))
        out = StringIO()
        call_command("textgen_reconcile", "--fix", stdout=out)
        assert "1 rows fixed" in out.getvalue()
