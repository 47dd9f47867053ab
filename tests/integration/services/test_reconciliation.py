"""The remote's list against our rows, over a real socket."""

from __future__ import annotations

import logging
from datetime import timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from creatify_textgen import services, tasks
from creatify_textgen.emulator import Emulator
from creatify_textgen.exceptions import RemoteError
from creatify_textgen.models import Generation, UsageDay
from creatify_textgen.states import Status
from tests.factories import let_time_pass
from tests.faults.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def sent(prompt: str = "Say hello") -> Generation:
    generation = services.submit(prompt)
    services.send_generation(generation.pk)
    generation.refresh_from_db()
    return generation


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
        Generation.objects.all().delete()
        report = services.reconcile(fix=True)
        assert report.remote_only.count == 3
        assert Generation.objects.count() == 0

    def test_counts_what_is_only_here(self, remote: Emulator) -> None:
        generation = services.generate("Say hello")
        Generation.objects.update(remote_id="gone", created_at=timezone.now() - timedelta(hours=1))
        assert services.reconcile().ours_only.examples == [str(generation.pk)]

    def test_changes_nothing_unless_asked(self, remote: Emulator) -> None:
        generation = sent()
        remote.finish(generation.remote_id)
        report = services.reconcile()
        generation.refresh_from_db()
        assert report.different_status.count == 1
        assert generation.status == Status.PENDING

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
        Generation.objects.all().delete()
        remote.switches.set(chunk_count=6, chunk_interval=0.05)
        with services.stream("Tell me of the sea.") as session:
            next(session)
            wait_until(lambda: Generation.objects.get().status == "running")
            assert services.reconcile(fix=True).adopted.count == 0
            list(session)
        row = Generation.objects.get()
        assert (row.status, row.remote_id) == ("done", remote.generations[-1].id)

    def test_may_have_been_blocked(self, remote: Emulator) -> None:
        """What we heard ourselves is why it failed, and no difference from the remote's word."""
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
        caplog.set_level(logging.WARNING, logger=tasks.__name__)
        tasks.reconcile(fix=True)
        Generation.objects.all().delete()
        tasks.reconcile(fix=True)
        told = [record.message for record in caplog.records if record.name == tasks.__name__]
        [line] = told
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
