"""A person's data goes, at once or when it has ended; sums stay."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db.models import Sum

from creatify_textgen import lifecycle, retention, services
from creatify_textgen.chat import Conversation
from creatify_textgen.exceptions import RequestError
from creatify_textgen.lifecycle import Outcome
from creatify_textgen.models import DeletedGeneration, Generation, Media, UsageDay
from creatify_textgen.recovery import reconciliation
from creatify_textgen.remote import RemoteGeneration
from creatify_textgen.retention import erasure
from creatify_textgen.signals import generation_finished, owner_erased
from creatify_textgen.states import Cause, Status
from tests.factories import HELLO, NOW
from tests.faults.remote_double import RemoteDouble

from .conftest import Make, has_content, stored_files

pytestmark = pytest.mark.django_db

OPEN = (Status.SUBMITTING, Status.UNCONFIRMED, Status.PENDING, Status.RUNNING)


def pending(make: Make, owner: Any, **fields: Any) -> Generation:
    defaults = {"status": Status.PENDING, "finished_at": None, "credits_used": None}
    return make(owner, **{**defaults, **fields})


class TestErase:
    def test_takes_what_has_ended_with_its_files(self, make: Make, store: Any, ada: User) -> None:
        row, image = make(ada, media=store(ada)), store(ada, number=1)
        report = services.erase(ada)
        assert (report.generations, report.media, report.is_complete) == (1, 2, True)
        assert report.media_bytes == 2 * image.size
        assert not has_content(row)
        assert (Media.objects.count(), stored_files()) == (0, 0)
        event = row.events.get()
        assert (event.cause, event.detail) == (Cause.RETENTION, "content erased")

    def test_sends_the_signal_once_before_the_rows_change(self, make: Make, ada: User) -> None:
        row, received = make(ada), list[Any]()

        def note(sender: Any, **arguments: Any) -> None:
            received.append((arguments["owner_id"], arguments["generation"], has_content(row)))

        owner_erased.connect(note)
        try:
            services.erase(ada)
        finally:
            owner_erased.disconnect(note)
        assert received == [(ada.pk, None, True)]

    def test_leaves_everybody_else_alone(
        self, make: Make, store: Any, ada: User, ben: User
    ) -> None:
        others = make(ben, media=store(ben))
        nobodys = make(None)
        store(ada)
        services.erase(ada)
        assert has_content(others)
        assert has_content(nobodys)
        # They had uploaded the same image, which is one file.
        assert (Media.objects.get().owner, stored_files()) == (ben, 1)

    def test_cancels_what_is_queued(self, make: Make, ada: User) -> None:
        row = make(ada, status=Status.QUEUED, finished_at=None, credits_used=None)
        report = services.erase(ada)
        assert (report.cancelled, report.generations, report.still_open) == (1, 1, 0)
        row.refresh_from_db()
        assert (row.status, row.credits_used) == ("cancelled", Decimal(0))
        assert not has_content(row)
        assert [event.detail for event in row.events.all()] == [
            "its owner was erased",
            "content erased",
        ]

    @pytest.mark.parametrize("status", OPEN)
    def test_says_what_must_still_end_and_drops_it_then(
        self, make: Make, store: Any, ada: User, status: Status
    ) -> None:
        row = pending(make, ada, status=status, media=store(ada))
        report = services.erase(ada)
        assert (report.still_open, report.open_ids) == (1, [row.pk])
        assert (report.generations, report.media, report.is_complete) == (0, 0, False)
        row.refresh_from_db()
        # Its send, or the search for it, still needs these.
        assert row.content.messages == HELLO
        assert stored_files() == 1
        assert (row.excerpt, row.metadata) == ("", {})

        outcome = Outcome(remote_id="r1", credits_used=Decimal("0.25"), response_text="Hi")
        lifecycle.mark_done(row.pk, cause=Cause.POLL, now=NOW, outcome=outcome)
        services.prune(older_than_days=1)
        row.refresh_from_db()
        assert not has_content(row)
        assert (row.status, row.credits_used, row.fingerprint) == ("done", Decimal("0.25"), "")
        assert (Media.objects.count(), stored_files()) == (0, 0)
        assert UsageDay.objects.get().credits_used == Decimal("0.25")

    @pytest.mark.parametrize("status", [Status.UNCONFIRMED, Status.PENDING, Status.RUNNING])
    def test_takes_what_expires_later(
        self, make: Make, store: Any, ada: User, ben: User, status: Status
    ) -> None:
        row = pending(make, ada, status=status, media=store(ada))
        other = pending(make, ben, status=status, keeps_content=False)
        services.erase(ada)
        lost = {one.pk: lifecycle.Arrival(due_at=NOW) for one in (row, other)}
        lifecycle.mark_arrived(lost, to=Status.EXPIRED, cause=Cause.SWEEP, now=NOW)
        assert not has_content(row)
        assert has_content(other)
        services.prune(older_than_days=1)
        assert (Media.objects.count(), stored_files()) == (0, 0)
        # Its result may still be found.
        row.refresh_from_db()
        assert (row.status, bool(row.fingerprint)) == ("expired", True)

    def test_cancels_what_is_queued_again_later(
        self, make: Make, ada: User, double: RemoteDouble
    ) -> None:
        row = pending(make, ada, status=Status.SUBMITTING, attempts=1)
        services.erase(ada)
        busy = {"retry_at": NOW, "detail": "busy", "attempt": 1}
        lifecycle.mark_queued(row.pk, cause=Cause.SUBMIT, now=NOW, **busy)
        services.sweep()
        row.refresh_from_db()
        assert (row.status, row.credits_used, has_content(row)) == ("cancelled", 0, False)
        assert double.generations == {}

    def test_gives_receivers_nothing_of_what_ends_later(
        self, make: Make, ada: User, django_capture_on_commit_callbacks: Any
    ) -> None:
        row = pending(make, ada)
        services.erase(ada)
        received: list[Any] = []

        def receive(generation: Generation, **_: Any) -> None:
            received.append((generation.pk, generation.content.response_text))

        generation_finished.connect(receive)
        try:
            with django_capture_on_commit_callbacks(execute=True):
                outcome = Outcome(response_text="Hi")
                lifecycle.mark_done(row.pk, cause=Cause.POLL, now=NOW, outcome=outcome)
        finally:
            generation_finished.disconnect(receive)
        assert received == [(row.pk, "")]

    def test_may_be_repeated(self, make: Make, ada: User) -> None:
        done, waiting = make(ada), pending(make, ada)
        services.erase(ada)
        again = services.erase(ada)
        assert (again.generations, again.still_open) == (0, 1)
        assert (done.events.count(), waiting.events.count()) == (1, 1)

    def test_takes_the_metadata_of_what_was_pruned_before(self, make: Make, ada: User) -> None:
        row = make(ada, content_removed_at=NOW, keeps_content=False)
        services.erase(ada)
        assert not has_content(row)

    def test_takes_the_metadata_of_any_number_whose_content_was_not_stored(
        self, make: Make, ada: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(erasure, "SLICE", 2)
        rows = [make(ada, content_removed_at=NOW, keeps_content=False) for _ in range(5)]
        would = services.erase(ada, dry_run=True)
        report = services.erase(ada)
        assert (would.generations, report.generations) == (5, 5)
        assert not any(map(has_content, rows))

    def test_keeps_idempotency_keys_so_that_nothing_is_paid_again(
        self, double: RemoteDouble, ada: User
    ) -> None:
        first = services.submit("Hi", owner=ada, idempotency_key="k1")
        services.erase(ada)
        with pytest.raises(RequestError) as caught:
            services.submit("Hi", owner=ada, idempotency_key="k1")
        assert caught.value.code == "idempotency_conflict"
        assert Generation.objects.get() == first

    def test_counts_no_file_that_another_user_keeps(
        self, make: Make, store: Any, ada: User, ben: User
    ) -> None:
        shared, own = store(ada), store(ada, number=1)
        make(ada, media=shared)
        make(ben, media=shared)
        make(ada, media=own)
        would = services.erase(ada, dry_run=True)
        assert (would.media, would.generations) == (1, 2)
        services.erase(ada)
        assert list(Media.objects.all()) == [shared]

    def test_counts_the_same_in_a_dry_run_and_changes_nothing(
        self, make: Make, store: Any, ada: User
    ) -> None:
        rows = [
            make(ada, media=store(ada)),
            make(ada, status=Status.QUEUED, finished_at=None, credits_used=None),
            pending(make, ada, media=store(ada, number=1)),
            make(ada, status=Status.EXPIRED, finished_at=None, credits_used=None),
        ]
        would = services.erase(ada, dry_run=True)
        assert all(map(has_content, rows))
        assert Media.objects.filter(discarded_at=None).count() == 2
        assert services.erase(ada) == would

    def test_deletes_conversations_and_keeps_what_their_turns_cost(
        self, ada: User, ben: User
    ) -> None:
        conversation = Conversation.start(owner=ada, title="My illness", system_instruction="Hush.")
        row = conversation.say("Hello")
        others = Conversation.start(owner=ben)
        services.erase(ada)
        assert list(Conversation.objects.all()) == [others]
        row.refresh_from_db()
        assert (row.status, has_content(row)) == ("cancelled", False)

    def test_names_who_erased(self, make: Make, ada: User, ben: User) -> None:
        row = make(ada)
        services.erase(ada, by=ben)
        assert row.events.get().detail == f"content erased by user {ben.pk}"

    @pytest.mark.parametrize("owner", [None, 1, "ada"])
    def test_refuses_what_is_no_user(self, owner: Any) -> None:
        with pytest.raises(RequestError) as caught:
            services.erase(owner)
        assert list(caught.value.errors) == ["owner"]

    def test_leaves_the_sums_right_to_the_last_decimal(self, make: Make, ada: User) -> None:
        costs = [Decimal("0.1234567891"), Decimal("0.0000000003"), None]
        for number, cost in enumerate(costs):
            row = pending(make, ada)
            outcome = Outcome(remote_id=f"r{number}", credits_used=cost)
            lifecycle.mark_done(row.pk, cause=Cause.POLL, now=NOW, outcome=outcome)
        late = pending(make, ada)
        services.erase(ada)
        lifecycle.mark_done(
            late.pk, cause=Cause.POLL, now=NOW, outcome=Outcome(credits_used=Decimal("0.5"))
        )
        unknown = Generation.objects.get(credits_used=None)
        lifecycle.correct_credits(unknown, Decimal("0.1"))
        used = Generation.objects.aggregate(used=Sum("credits_used"))["used"]
        assert used == Decimal("0.7234567894")
        assert UsageDay.objects.aggregate(used=Sum("credits_used"))["used"] == used
        assert services.credits(owner=ada, with_balance=False).used == used


class TestDeletedUser:
    def test_leaves_no_content_and_no_files(
        self,
        make: Make,
        store: Any,
        ada: User,
        django_capture_on_commit_callbacks: Any,
    ) -> None:
        row, waiting = make(ada, media=store(ada)), pending(make, ada)
        with django_capture_on_commit_callbacks(execute=True):
            User.objects.filter(pk=ada.pk).delete()
        assert (Media.objects.count(), stored_files()) == (0, 0)
        assert not has_content(row)
        row.refresh_from_db()
        assert (row.owner, row.credits_used) == (None, Decimal("0.5"))
        assert row.events.get().detail == "content erased: its owner was deleted"
        lifecycle.mark_done(waiting.pk, cause=Cause.POLL, now=NOW, outcome=Outcome())
        assert not has_content(waiting)

    def test_keeps_the_files_if_the_deletion_is_rolled_back(
        self, make: Make, store: Any, ada: User
    ) -> None:
        row = make(ada, media=store(ada))
        with pytest.raises(ZeroDivisionError):
            _delete_and_fail(ada)
        assert (has_content(row), stored_files()) == (True, 1)

    def test_is_warned_of_before(
        self, make: Make, store: Any, ada: User, admin_client: Any
    ) -> None:
        make(ada, media=store(ada))
        make(ada)
        page = admin_client.get(f"/admin/auth/user/{ada.pk}/delete/").content.decode()
        assert "content of 2 generations and 1 files, which is erased" in page


def _delete_and_fail(user: User) -> None:
    from django.db import transaction

    with transaction.atomic():
        user.delete()
        raise ZeroDivisionError


class TestDeletedGeneration:
    def test_leaves_no_media_that_nothing_else_uses(
        self,
        make: Make,
        store: Any,
        ada: User,
        django_capture_on_commit_callbacks: Any,
    ) -> None:
        own, shared = store(ada), store(ada, number=1)
        row = make(ada, media=own)
        row.media.add(shared)
        make(ada, media=shared)
        with django_capture_on_commit_callbacks(execute=True):
            Generation.objects.filter(pk=row.pk).delete()
        assert list(Media.objects.all()) == [shared]
        assert stored_files() == 1

    @pytest.mark.parametrize("read", ["after its end", "before its send"])
    def test_is_not_imported_as_a_charge_that_nobody_knows(
        self, make: Make, double: RemoteDouble, read: str
    ) -> None:
        row = make(remote_id="r1")
        if read == "before its send":
            row.remote_id, row.status = None, Status.QUEUED
        row.delete()
        double.generations = {
            "r1": RemoteGeneration("r1", "done", messages=HELLO, credits_used=Decimal("0.5"))
        }
        report = reconciliation.reconcile(fix=True)
        assert (report.fixed, report.remote_only.count) == (0, 0)
        assert not Generation.objects.exists()
        assert DeletedGeneration.objects.get().remote_id == "r1"

    def test_of_a_medium_deletes_its_file(
        self, store: Any, ada: User, ben: User, django_capture_on_commit_callbacks: Any
    ) -> None:
        for owner in (ada, ben):
            store(owner)
        for owner, left in ((ada, 1), (ben, 0)):
            with django_capture_on_commit_callbacks(execute=True):
                Media.objects.get(owner=owner).delete()
            assert stored_files() == left


class TestImport:
    def test_brings_no_erased_content_back(
        self, make: Make, double: RemoteDouble, ada: User
    ) -> None:
        """A second acceptance of what an erased person had asked."""
        row = make(ada, remote_id=None, credits_used=None, created_at=NOW - timedelta(days=1))
        double.generations = {
            "r2": RemoteGeneration(
                "r2",
                "done",
                model_name=row.model_name,
                messages=HELLO,
                response_text="Hi",
                credits_used=Decimal("0.5"),
                created_at=NOW - timedelta(days=1),
            )
        }
        print_of = reconciliation.import_remote.__globals__["fingerprint_of"]
        Generation.objects.update(fingerprint=print_of(double.generations["r2"]))
        services.erase(ada)
        reconciliation.reconcile(fix=True)
        imported = Generation.objects.get(remote_id="r2")
        assert (imported.owner, imported.credits_used) == (ada, Decimal("0.5"))
        assert not has_content(imported)


class TestCommand:
    def test_counts_then_erases(self, make: Make, ada: User, capsys: Any) -> None:
        row, waiting = make(ada), pending(make, ada)
        call_command("textgen_erase", "ada", dry_run=True)
        assert capsys.readouterr().out.startswith("Would erase the content of 1 generations")
        assert has_content(row)
        call_command("textgen_erase", "ada")
        out = capsys.readouterr().out
        assert out.startswith("Erased the content of 1 generations (0 of them queued")
        assert "1 generations were sent and have not ended. Their content goes when" in out
        assert str(waiting.pk) in out
        assert not has_content(row)

    def test_says_that_there_is_no_such_user(self) -> None:
        with pytest.raises(CommandError, match="There is no user with username 'nobody'"):
            call_command("textgen_erase", "nobody")


def test_report_is_part_of_the_room() -> None:
    assert services.EraseReport is retention.EraseReport
