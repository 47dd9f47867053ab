"""One send, step by step: what it needs, what it says, and what each answer makes of the row."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import DataError, Error, InterfaceError, OperationalError

from creatify_textgen import clock, gateway, lifecycle
from creatify_textgen.dispatch import sending, unaccepted
from creatify_textgen.dispatch.callbacks import webhook_url
from creatify_textgen.dispatch.sending import LeaseLostError, Send, prepare_send, settle_send
from creatify_textgen.dispatch.turns import with_obstacles
from creatify_textgen.exceptions import (
    ContractError,
    RateLimitedError,
    RemoteError,
    RemoteRejectedError,
    RemoteUnavailableError,
    RequestError,
    StreamError,
    TextgenError,
)
from creatify_textgen.models import Circuit, Generation, Media
from creatify_textgen.remote import RemoteGeneration
from creatify_textgen.states import Status
from tests.factories import NOW, make_generation
from tests.faults.remote_double import RemoteDouble

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("still_clock")]

LATER = NOW + timedelta(seconds=15)
"""The lease's grace: when an answer that never came is looked for."""


def reported(row: Generation) -> tuple[Any, ...]:
    """Return what a row says of itself: status, when it is looked at, its last line."""
    row = Generation.objects.get(pk=row.pk)
    last = row.events.last()
    return row.status, row.due_at, last and (last.cause, last.detail)


def prepared(double: RemoteDouble, **fields: Any) -> Send:
    send = prepare_send(make_generation(**fields))
    assert send is not None
    return send


def answer(**fields: Any) -> RemoteGeneration:
    return RemoteGeneration(**{"id": str(uuid.uuid4()), "status": "pending", **fields})


def leased(row: Generation) -> int:
    """Return for how many seconds from NOW; a few hundred bytes take a few milliseconds."""
    lease = Generation.objects.get(pk=row.pk).lease_until
    assert lease is not None
    return int((lease - NOW).total_seconds())


class TestPrepare:
    @pytest.mark.parametrize(("sync", "seconds"), [(False, 50), (True, 140)])
    def test_leases_the_longest_send_and_some_grace(
        self, double: RemoteDouble, *, sync: bool, seconds: int
    ) -> None:
        generation = make_generation()
        prepare_send(generation, sync=sync)
        assert leased(generation) == seconds

    def test_says_when_and_where_it_is_sent(self, double: RemoteDouble) -> None:
        generation = make_generation(absent_since=NOW)
        prepare_send(generation)
        row = Generation.objects.get()
        assert (row.first_submitted_at, row.submitted_at) == (NOW, NOW)
        assert (row.sent_until, row.absent_since) == (row.lease_until, None)
        assert row.workspace == gateway.workspace_of("default") != ""

    def test_again_keeps_the_time_of_the_first(self, double: RemoteDouble) -> None:
        before = NOW - timedelta(hours=1)
        prepare_send(make_generation(first_submitted_at=before))
        row = Generation.objects.get()
        assert (row.first_submitted_at, row.submitted_at) == (before, NOW)

    def test_of_a_row_that_a_delivery_has_named_sends_nothing(self, double: RemoteDouble) -> None:
        """Whoever read it: what is named may have been accepted."""
        generation = make_generation(unverified_remote_id="r1")
        assert prepare_send(generation) is None
        assert Generation.objects.get().status == "queued"

    def test_leases_the_time_that_an_upload_takes(self, double: RemoteDouble) -> None:
        size = 3 * 128 * 1024
        row = {"kind": "video", "mime_type": "video/mp4", "size": size, "sha256": "0" * 64}
        parts = []
        for _ in range(2):
            path = default_storage.save(str(uuid.uuid4()), ContentFile(bytes(size)))
            media = Media.objects.create(**row, path=path)
            parts.append({"type": "video", "mime_type": "video/mp4", "media": str(media.pk)})
        generation = make_generation()
        generation.content.messages = [{"role": "user", "content": parts}]
        prepare_send(generation)
        # As base64 the two have 8 x 128 kB, and the slowest uplink that counts 128 a second.
        assert leased(generation) == 50 + 8

    def test_leases_the_time_that_a_text_takes(self, double: RemoteDouble) -> None:
        generation = make_generation()
        generation.content.messages = [{"role": "user", "content": "a" * 8 * 1024 * 1024}]
        prepare_send(generation)
        assert leased(generation) == 50 + 64

    def test_leases_from_after_the_storage_was_asked(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = NOW + timedelta(seconds=120)

        def ask_slowly(*arguments: Any, **options: Any) -> Any:
            monkeypatch.setattr(clock, "utc_now", lambda: asked)
            return wire_request(*arguments, **options)

        wire_request = sending.wire_request
        monkeypatch.setattr(sending, "wire_request", ask_slowly)
        generation = make_generation()
        prepare_send(generation)
        assert leased(generation) == 50 + 120

    def test_leases_as_long_as_the_send_may_take(self, double: RemoteDouble) -> None:
        send = prepared(double)
        row = Generation.objects.get()
        assert row.lease_until is not None
        assert row.submitted_at is not None
        begun = row.submitted_at + timedelta(seconds=send.begin_within.seconds)
        assert begun + timedelta(seconds=send.prepared.seconds) <= row.lease_until

    @pytest.mark.parametrize("named", ["nonsense", 7, None, [], {}, str(uuid.UUID(int=1))])
    def test_fails_what_names_a_medium_that_is_none(self, double: RemoteDouble, named: Any) -> None:
        generation = make_generation()
        part = {"type": "image", "mime_type": "image/png", "media": named}
        generation.content.messages = ["?", {"role": "user", "content": ["?", part]}]
        assert prepare_send(generation) is None
        generation.refresh_from_db()
        assert (generation.status, generation.error_code) == ("failed", "media_missing")

    @pytest.mark.parametrize("sync", [False, True])
    def test_says_what_was_asked_and_where_to_call(
        self, double: RemoteDouble, settings: Any, *, sync: bool
    ) -> None:
        settings.CREATIFY_TEXTGEN = {
            **settings.CREATIFY_TEXTGEN,
            "WEBHOOK_BASE_URL": "https://example.com",
        }
        generation = make_generation()
        send = prepare_send(generation, sync=sync)
        assert send is not None
        request = send.prepared.request
        assert (request.sync, request.model_name) == (sync, "gemini-2.5-flash")
        assert request.webhook_url == webhook_url(generation)
        assert request.webhook_url.startswith("https://example.com/")

    def test_of_a_row_that_is_taken_changes_nothing(self, double: RemoteDouble) -> None:
        generation = make_generation(status=Status.PENDING)
        assert prepare_send(generation) is None
        assert reported(generation)[0] == "pending"

    def test_fails_what_can_never_be_sent(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: Any, **__: Any) -> None:
            raise RequestError("Its file is gone.", code="media_missing")

        monkeypatch.setattr(sending, "wire_request", refuse)
        generation = make_generation()
        assert prepare_send(generation) is None
        generation.refresh_from_db()
        assert (generation.status, generation.error_code) == ("failed", "media_missing")
        assert (generation.credits_used, generation.finished_at) == (Decimal(), NOW)
        assert generation.content.failed_reason == "Its file is gone."

    @pytest.mark.parametrize(
        ("error", "detail"),
        [
            (TextgenError("away", code="media_storage_failed"), "media_storage_failed"),
            (ImproperlyConfigured("no key"), "not configured"),
            (ValueError("a wrong key"), "not configured"),
        ],
        ids=["storage", "settings", "key"],
    )
    def test_waits_for_the_site_to_mend_its_own_faults(
        self, monkeypatch: pytest.MonkeyPatch, error: Exception, detail: str
    ) -> None:
        def fail(_: str) -> None:
            raise error

        monkeypatch.setattr(gateway, "client_for", fail)
        generation = make_generation()
        assert prepare_send(generation) is None
        assert reported(generation) == ("queued", NOW + timedelta(seconds=60), ("submit", detail))


class TestCall:
    @pytest.fixture
    def monotonic(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
        """Return what sets the monotonic clock."""
        return lambda seconds: monkeypatch.setattr(time, "monotonic", lambda: seconds)

    def test_sends_within_the_grace(
        self, double: RemoteDouble, monotonic: Callable[[float], None]
    ) -> None:
        monotonic(1000.0)
        send = prepared(double)
        monotonic(1015.0)
        assert send.call().status == "pending"
        assert len(double.generations) == 1

    def test_sends_nothing_after_it(
        self, double: RemoteDouble, monotonic: Callable[[float], None]
    ) -> None:
        monotonic(1000.0)
        send = prepared(double)
        monotonic(1015.1)
        with pytest.raises(LeaseLostError):
            send.call()
        assert not double.generations

    def test_sends_nothing_after_a_suspension(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The monotonic clock stood still, and the wall clock says that ten minutes went by."""
        send = prepared(double)
        later = time.time() + 600
        monkeypatch.setattr(time, "time", lambda: later)
        with pytest.raises(LeaseLostError):
            send.call()
        assert not double.generations


class TestAnswer:
    def test_moves_the_row_to_where_the_remote_says_it_is(self, double: RemoteDouble) -> None:
        send = prepared(double)
        settle_send(send, answer(id="r1"))
        row = Generation.objects.get()
        assert (row.status, row.remote_id) == ("pending", "r1")
        assert row.events.last().cause == "submit"

    def test_closes_the_circuit_of_that_account(self, double: RemoteDouble) -> None:
        Circuit.objects.create(account="default", failures=3)
        Circuit.objects.create(account="other", failures=3)
        settle_send(prepared(double), answer())
        assert dict(Circuit.objects.values_list("account", "failures")) == {
            "default": 0,
            "other": 3,
        }

    @pytest.mark.parametrize("failures", [0, 3])
    def test_asks_for_no_circuit_if_the_row_was_read_without_failures(
        self, double: RemoteDouble, failures: int
    ) -> None:
        Circuit.objects.create(account="default", failures=failures)
        row = with_obstacles(Generation.objects.filter(pk=make_generation().pk), now=NOW).get()
        send = prepare_send(row)
        assert send is not None
        Circuit.objects.update(failures=1)  # while it is under way
        settle_send(send, answer())
        # The next send sees the failure, and its answer says that it is over.
        assert Circuit.objects.get().failures == (0 if failures else 1)

    @pytest.mark.parametrize("status", [Status.QUEUED, Status.SUBMITTING, Status.EXPIRED])
    def test_to_a_row_that_has_moved_on_is_kept(self, double: RemoteDouble, status: Status) -> None:
        send = prepared(double)
        Generation.objects.update(status=status, attempts=2, lease_until=None)
        Generation.objects.filter(status=Status.SUBMITTING).update(status=Status.QUEUED)
        settle_send(send, answer(id="r1"))
        row = Generation.objects.get()
        assert (row.unverified_remote_id, row.due_at, row.remote_id) == ("r1", NOW, None)

    @pytest.mark.parametrize("status", ["pending", "done"])
    def test_to_a_row_with_another_remote_id_leaves_it_that(
        self, double: RemoteDouble, caplog: pytest.LogCaptureFixture, status: str
    ) -> None:
        send = prepared(double)
        Generation.objects.update(status=Status.PENDING, remote_id="r1")
        settle_send(send, answer(id="r2", status=status, credits_used=Decimal(1)))
        row = Generation.objects.get()
        assert (row.status, row.remote_id, row.credits_used) == ("pending", "r1", None)
        assert "r2" in caplog.text

    @pytest.mark.parametrize("account", ["default", "the same workspace"])
    def test_with_the_id_of_an_equal_request_is_looked_for(
        self, double: RemoteDouble, account: str
    ) -> None:
        make_generation(status=Status.PENDING, remote_id="r1", account=account)
        send = prepared(double)
        settle_send(send, answer(id="r1"))
        assert reported(send.generation) == ("unconfirmed", LATER, ("submit", "remote_id_taken"))


class TestDatabaseThatFails:
    """While an answer is written: the remote names its id once, and may never list it."""

    def failing(self, monkeypatch: pytest.MonkeyPatch, name: str, *, errors: list[Error]) -> None:
        write = getattr(lifecycle, name)

        def fail_first(*arguments: Any, **options: Any) -> Any:
            if errors:
                raise errors.pop(0)
            return write(*arguments, **options)

        monkeypatch.setattr(lifecycle, name, fail_first)
        monkeypatch.setattr(sending, "ANSWER_PAUSES", (0, 0))

    @pytest.mark.parametrize(
        "errors",
        [[OperationalError("gone")], [InterfaceError("closed"), OperationalError("starting up")]],
        ids=["once", "twice"],
    )
    def test_loses_no_answer(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch, errors: list[Error]
    ) -> None:
        send = prepared(double)
        self.failing(monkeypatch, "mark_arrived", errors=errors)
        settle_send(send, answer(id="r1"))
        row = Generation.objects.get()
        assert (row.status, row.remote_id) == (Status.PENDING, "r1")

    def test_loses_no_acceptance_in_an_error(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        send = prepared(double)
        self.failing(monkeypatch, "note_acceptance", errors=[OperationalError("gone")])
        settle_send(send, RemoteUnavailableError("down", status=503, accepted_as="r1"))
        assert Generation.objects.get().unverified_remote_id == "r1"

    def test_after_its_commit_is_no_second_acceptance(
        self,
        double: RemoteDouble,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        send = prepared(double)
        write = lifecycle.mark_arrived
        lost = [OperationalError("lost after COMMIT")]

        def lose_the_word(*arguments: Any, **options: Any) -> Any:
            won = write(*arguments, **options)
            if lost:
                raise lost.pop()
            return won

        monkeypatch.setattr(lifecycle, "mark_arrived", lose_the_word)
        monkeypatch.setattr(sending, "ANSWER_PAUSES", (0,))
        settle_send(send, answer(id="r1"))
        assert Generation.objects.get(status=Status.PENDING).remote_id == "r1"
        assert "also accepted" not in caplog.text

    def test_for_longer_leaves_the_row_to_the_list(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        send = prepared(double)
        self.failing(monkeypatch, "mark_arrived", errors=[OperationalError("gone")] * 3)
        monkeypatch.setattr(lifecycle, "is_refusal", lambda error: False)
        with pytest.raises(OperationalError):
            settle_send(send, answer(id="r1"))
        assert Generation.objects.get().status == Status.SUBMITTING

    def test_because_of_a_value_is_tried_once(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        send = prepared(double)
        self.failing(monkeypatch, "mark_arrived", errors=[DataError("too long")])
        with pytest.raises(DataError):
            settle_send(send, answer(id="r1"))
        assert Generation.objects.get(status=Status.UNCONFIRMED).unverified_remote_id == "r1"


class TestNoAnswer:
    def test_because_the_lease_was_lost_queues_it_again_at_once(self, double: RemoteDouble) -> None:
        send = prepared(double)
        settle_send(send, LeaseLostError())
        assert reported(send.generation) == (
            "queued",
            NOW,
            ("submit", "lease lost before the send"),
        )

    def test_for_a_reason_nobody_knows_is_looked_for_and_raised(self, double: RemoteDouble) -> None:
        send = prepared(double)
        with pytest.raises(RuntimeError, match="a bug"):
            settle_send(send, RuntimeError("a bug"))
        assert reported(send.generation) == ("unconfirmed", LATER, ("submit", "RuntimeError"))

    def test_of_a_storage_in_a_database_is_written_once(
        self,
        double: RemoteDouble,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        send = prepared(double)
        monkeypatch.setattr(sending, "ANSWER_PAUSES", (0,))
        with pytest.raises(OperationalError, match="no such table"):
            settle_send(send, OperationalError("no such table"))
        assert Generation.objects.get().status == Status.UNCONFIRMED
        assert "waits for the database" not in caplog.text

    def test_because_a_medium_could_not_be_read_is_no_doubt(self, double: RemoteDouble) -> None:
        send = prepared(double)
        settle_send(send, RequestError("Its file is gone.", code="media_missing"))
        row = Generation.objects.get()
        assert (row.status, row.error_code) == ("failed", "media_missing")

    def test_because_the_storage_is_away_is_waited_for(self, double: RemoteDouble) -> None:
        send = prepared(double)
        settle_send(send, TextgenError("away", code="media_storage_failed"))
        assert reported(send.generation)[1] == NOW + timedelta(seconds=60)


BUSY = RemoteUnavailableError("busy", status=503, retry_after=7)
MANY = RateLimitedError("busy", status=429, retry_after=7)
AWAY = RemoteUnavailableError("no route", request_sent=False, retry_after=7)


class TestRefusal:
    @pytest.mark.parametrize(
        ("error", "detail"),
        [
            (BUSY, "remote_unavailable 503"),
            (MANY, "rate_limited 429"),
            (AWAY, "remote_unavailable"),
        ],
        ids=["503", "429", "no connection"],
    )
    def test_uncharged_is_tried_again_when_the_remote_said(
        self,
        double: RemoteDouble,
        monkeypatch: pytest.MonkeyPatch,
        error: RemoteError,
        detail: str,
    ) -> None:
        monkeypatch.setattr(unaccepted.random, "random", lambda: 0.0)
        send = prepared(double)
        settle_send(send, error)
        status, at, event = reported(send.generation)
        assert (status, event) == ("queued", ("submit", detail))
        assert NOW + timedelta(seconds=7) < at <= NOW + timedelta(seconds=9)

    @pytest.mark.parametrize(
        "error",
        [RemoteUnavailableError("reset"), ContractError("what?", status=201)],
        ids=["reset", "unreadable"],
    )
    def test_that_may_hide_an_acceptance_is_looked_for(
        self, double: RemoteDouble, error: RemoteError
    ) -> None:
        send = prepared(double)
        settle_send(send, error)
        status, at, (cause, detail) = reported(send.generation)
        assert (status, at, cause) == ("unconfirmed", LATER, "submit")
        assert detail.startswith(error.code)

    def test_that_may_hide_an_acceptance_is_told_in_the_remote_s_words(
        self, double: RemoteDouble
    ) -> None:
        send = prepared(double)
        settle_send(send, ContractError("No id.", status=200, reason="overloaded"))
        row = Generation.objects.select_related("content").get()
        assert row.credits_used is None
        assert row.content.failed_reason == (
            "It may have been charged, and what it cost is unknown. No id. "
            "Creatify says: overloaded"
        )

    @pytest.mark.parametrize(
        "error",
        [
            RemoteUnavailableError("down", status=503, accepted_as="r1"),
            RateLimitedError("busy", status=429, accepted_as="r1"),
            RemoteRejectedError("no", status=400, accepted_as="r1"),
            RemoteRejectedError("no", status=402, code="insufficient_credits", accepted_as="r1"),
            RemoteRejectedError("no", status=400, code="missing_call_id", accepted_as="r1"),
        ],
        ids=["503", "429", "400", "402", "call"],
    )
    def test_that_names_a_generation_is_looked_up_at_once(
        self, double: RemoteDouble, error: RemoteError
    ) -> None:
        settle_send(prepared(double), error)
        row = Generation.objects.get(status=Status.UNCONFIRMED)
        assert (row.unverified_remote_id, row.due_at, row.credits_used) == ("r1", NOW, None)

    @pytest.mark.parametrize(("resends", "first"), [(0, None), (1, NOW)])
    def test_uncharged_is_no_send_that_may_have_been_accepted(
        self, double: RemoteDouble, resends: int, first: Any
    ) -> None:
        send = prepared(double, resends=resends)
        settle_send(send, BUSY)
        assert Generation.objects.get().first_submitted_at == first

    def test_for_good_fails_the_row_and_says_why(self, double: RemoteDouble) -> None:
        send = prepared(double)
        refusal = RemoteRejectedError("No such model.", status=400)
        settle_send(send, refusal)
        row = Generation.objects.get(status=Status.FAILED)
        assert (row.error_code, row.credits_used) == ("invalid_request", Decimal())
        assert row.content.failed_reason == "No such model."
        assert row.events.last().cause == "submit"

    def test_for_good_leaves_the_remotes_own_words_beside_ours(self, double: RemoteDouble) -> None:
        refusal = RemoteRejectedError("Refused (400).", status=400, reason="Model not found.")
        settle_send(prepared(double), refusal)
        row = Generation.objects.get(status=Status.FAILED)
        assert row.content.failed_reason == "Refused (400). Creatify says: Model not found."

    @pytest.mark.parametrize(
        ("error", "failures"),
        [
            (BUSY, 1),
            (AWAY, 1),
            (MANY, 0),
            (RemoteRejectedError("no", status=400), 0),
            (ContractError("what?", status=201), 0),
        ],
        ids=["503", "no connection", "429", "400", "unreadable"],
    )
    def test_counts_against_a_remote_that_is_down_alone(
        self, double: RemoteDouble, error: RemoteError, failures: int
    ) -> None:
        settle_send(prepared(double), error)
        assert sum(Circuit.objects.values_list("failures", flat=True)) == failures

    def test_opens_the_circuit_from_now_on(self, double: RemoteDouble) -> None:
        Circuit.objects.create(account="default", failures=4)
        settle_send(prepared(double), AWAY)
        assert Circuit.objects.get().open_until == NOW + timedelta(seconds=5)


class TestLateWord:
    """A later send has the row by now; what the earlier one hears is no longer its matter."""

    @pytest.mark.parametrize(
        "word",
        [
            LeaseLostError(),
            BUSY,
            RemoteUnavailableError("reset"),
            RemoteRejectedError("no", status=400),
            TextgenError("away", code="media_storage_failed"),
            StreamError("broken"),
        ],
        ids=lambda word: type(word).__name__,
    )
    def test_changes_nothing(self, double: RemoteDouble, word: Exception) -> None:
        send = prepared(double)
        Generation.objects.update(attempts=2)
        before = Generation.objects.values().get()
        settle_send(send, word)
        assert Generation.objects.values().get() == before
