"""Rows whose remote id was never learnt, against the remote's list: adopted, sent again, failed."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from creatify_textgen import lifecycle
from creatify_textgen.dispatch.unaccepted import MAY_BE_CHARGED
from creatify_textgen.exceptions import TransitionError
from creatify_textgen.intake import fingerprint
from creatify_textgen.lifecycle import Outcome
from creatify_textgen.models import Generation, UsageDay
from creatify_textgen.recovery import adoption, matching
from creatify_textgen.recovery.adoption import adopt_from, settle_lost
from creatify_textgen.recovery.evidence import EARLIER, LATER, MOST_SKEW, Listed, Reading
from creatify_textgen.recovery.matching import sent_at
from creatify_textgen.recovery.reading import known_rows, read_list
from creatify_textgen.remote import RemoteGeneration
from creatify_textgen.states import Cause, Mode, Status
from tests.factories import HELLO, NOW, absent_facts, honest_reading, make_generation
from tests.faults.remote_double import RemoteDouble

pytestmark = pytest.mark.django_db

CLAIM = "5d0c1a3e-0000-4000-8000-000000000000"
MODEL = "gemini-2.5-flash"
SECOND = timedelta(seconds=1)
HELD = NOW + 120 * SECOND
PRINT = fingerprint(MODEL, HELLO, "", {})


def lost(**fields: Any) -> Generation:
    """Save a row that was sent and never answered, claimed by a sweep."""
    defaults = {"status": Status.UNCONFIRMED, "submitted_at": NOW, "fingerprint": PRINT}
    held = {"claim": CLAIM, "polls": 1, "due_at": HELD, "attempts": 1}
    row = make_generation(**{**defaults, **held, **fields})
    return Generation.objects.select_related("content").get(pk=row.pk)


def listed(**fields: Any) -> RemoteGeneration:
    defaults = {"id": str(uuid.uuid4()), "status": "done", "model_name": MODEL, "created_at": NOW}
    return RemoteGeneration(**{**defaults, "messages": HELLO, **fields})


def fresh(row: Generation) -> Generation:
    return Generation.objects.select_related("content").get(pk=row.pk)


class TestCandidates:
    def read(self, double: RemoteDouble, *remotes: RemoteGeneration, **row: Any) -> list[str]:
        double.generations = {remote.id: remote for remote in remotes}
        return [remote.id for remote in read_list("default", [lost(**row)]).candidates]

    def test_are_what_was_asked_the_same(self, double: RemoteDouble) -> None:
        other = [{"role": "user", "content": "Goodbye"}]
        ids = self.read(
            double,
            listed(id="same"),
            listed(id="other", messages=other),
            listed(id="no echo", messages=None),
            listed(id="another system", system_instruction="Be brief."),
            listed(id="another model", model_name="other"),
            listed(id="another config", config={"temperature": 0.5}),
        )
        # The last two may be what was asked, echoed with other words for the rest of it.
        assert set(ids) == {"same", "another model", "another config"}

    def test_are_not_much_older_than_the_send(self, double: RemoteDouble) -> None:
        ids = self.read(
            double,
            listed(id="too old", created_at=NOW - EARLIER - MOST_SKEW - SECOND),
            listed(id="just young enough", created_at=NOW - EARLIER - MOST_SKEW),
            listed(id="of unknown age", created_at=None),
        )
        assert set(ids) == {"just young enough", "of unknown age"}

    def test_are_as_old_as_the_oldest_row_allows(self, double: RemoteDouble) -> None:
        rows = [lost(submitted_at=NOW - 3600 * SECOND), lost()]
        double.generations = {"r1": listed(id="r1", created_at=NOW - 3600 * SECOND)}
        assert [remote.id for remote in read_list("default", rows).candidates] == ["r1"]


class TestAdoption:
    def test_takes_over_what_the_remote_has(self) -> None:
        row = lost()
        remote = listed(id="r1", response_text="Hi", credits_used=Decimal("0.5"))
        assert adopt_from([row], [remote], now=NOW) == []
        row = fresh(row)
        assert (row.status, row.remote_id, row.credits_used) == ("done", "r1", Decimal("0.5"))
        event = row.events.get()
        assert (event.cause, event.detail, event.at) == ("reconcile", "found in the list", NOW)

    @pytest.mark.parametrize(
        ("created_at", "fits"),
        [
            (NOW - EARLIER, True),
            (NOW - EARLIER - SECOND, False),
            (NOW + LATER, True),
            (NOW + LATER + SECOND, False),
            (None, True),
        ],
        ids=["early", "too early", "late", "too late", "unknown"],
    )
    def test_is_of_the_right_time(self, created_at: datetime | None, *, fits: bool) -> None:
        left = adopt_from([lost()], [listed(created_at=created_at)], now=NOW)
        assert (left == []) is fits

    def test_knows_a_request_that_was_saved_under_a_key_rotated_out(self, settings: Any) -> None:
        rows = [lost(), lost()]
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another-key-of-some-length"
        # One remote generation is one row's, whichever key has found it.
        assert adopt_from(rows, [listed(id="r1")], now=NOW) == rows[1:]

    def test_takes_nothing_by_a_key_that_was_lost(self, settings: Any) -> None:
        row = lost()
        settings.SECRET_KEY = "another-key-of-some-length"
        assert adopt_from([row], [listed()], now=NOW) == [row]

    def test_counts_from_the_intent_where_no_send_is_noted(self) -> None:
        row = lost(submitted_at=None, created_at=NOW)
        assert adopt_from([row], [listed()], now=NOW) == []

    def test_gives_the_oldest_row_the_first(self) -> None:
        young, old = lost(submitted_at=NOW + SECOND), lost()
        assert adopt_from([young, old], [listed(id="r1")], now=NOW) == [young]
        assert fresh(old).remote_id == "r1"

    def test_takes_what_was_created_nearest_to_the_send(self) -> None:
        row = lost()
        remotes = [
            listed(id="of unknown age", created_at=None),
            listed(id="later", created_at=NOW + 60 * SECOND),
            listed(id="nearest", created_at=NOW + SECOND),
            listed(id="earlier", created_at=NOW - 2 * SECOND),
        ]
        assert adopt_from([row], remotes, now=NOW) == []
        assert fresh(row).remote_id == "nearest"

    def test_gives_each_remote_generation_to_one_row(self) -> None:
        rows = [lost(), lost(), lost()]
        remotes = [listed(), listed()]
        left = adopt_from(rows, remotes, now=NOW)
        assert len(left) == 1
        adopted = Generation.objects.exclude(remote_id=None).values_list("remote_id", flat=True)
        assert set(adopted) == {remote.id for remote in remotes}

    def test_of_an_expired_row_that_is_still_under_way_is_its_id_alone(self) -> None:
        row = lost(status=Status.EXPIRED, polls=2, mode=Mode.STREAM)
        settle_lost([row], Reading([listed(id="r1", status="pending")]), now=NOW)
        row = fresh(row)
        assert (row.status, row.remote_id) == ("expired", "r1")
        assert row.due_at is not None
        assert row.due_at > NOW
        assert not row.events.exists()

    @pytest.mark.django_db(transaction=True)
    def test_of_an_expired_row_leaves_another_row_its_id(self) -> None:
        row = lost(status=Status.EXPIRED)
        make_generation(status=Status.DONE, remote_id="r1")
        with pytest.raises(TransitionError) as caught:
            lifecycle.keep_remote_id(row, "r1", due_at=NOW)
        assert caught.value.code == "remote_id_taken"
        assert fresh(row).remote_id is None

    def test_passes_over_what_a_row_has_already(self) -> None:
        make_generation(status=Status.DONE, remote_id="r1")
        row = lost()
        assert adopt_from([row], [listed(id="r1")], now=NOW) == [row]

    def test_passes_over_what_a_deleted_row_had(self) -> None:
        """Its cost was counted, and its text was to be forgotten."""
        make_generation(remote_id="r1", status=Status.DONE, fingerprint=PRINT).delete()
        row = lost()
        assert adopt_from([row], [listed(id="r1")], now=NOW) == [row]

    def test_passes_over_what_a_row_of_another_name_for_the_account_has(self) -> None:
        make_generation(status=Status.DONE, remote_id="r1", account="the same workspace")
        row = lost()
        assert adopt_from([row], [listed(id="r1")], now=NOW) == [row]

    def test_takes_the_next_where_another_process_was_faster(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = adoption.apply_snapshot

        def race(snapshot: Any, **options: Any) -> bool:
            if snapshot.remote.id == "r1":
                raise TransitionError("taken", code="remote_id_taken")
            return real(snapshot, **options)

        monkeypatch.setattr(adoption, "apply_snapshot", race)
        row = lost()
        assert adopt_from([row], [listed(id="r1"), listed(id="r2")], now=NOW) == []
        assert fresh(row).remote_id == "r2"

    @pytest.mark.parametrize(
        ("reported", "fits"),
        [
            (["a" * 64], True),
            (["b" * 64], False),
            ([None], True),
            (["a" * 64, "a" * 64], False),
        ],
        ids=["ours", "another", "not reported", "one more"],
    )
    def test_is_of_the_same_images(self, reported: list[str | None], *, fits: bool) -> None:
        part = {"type": "image", "mime_type": "image/png"}
        row = lost()
        row.content.messages = [{"role": "user", "content": [{**part, "sha256": "a" * 64}]}]
        parts = [{**part, "sha256": digest} if digest else part for digest in reported]
        remote = listed(messages=[{"role": "user", "content": parts}])
        row.fingerprint = matching.fingerprint_of(remote)
        assert (adopt_from([row], [remote], now=NOW) == []) is fits


class TestPartOfAnAnswer:
    """Of two equal prompts the answers differ: a reader has received the beginning of one."""

    def adopt(self, text: str, **reported: Any) -> Generation:
        content = {"response_text": text}
        row = lost(mode=Mode.STREAM, status=Status.RUNNING, content=content, partial=True)
        adopt_from([row], [listed(**reported)], now=NOW)
        return fresh(row)

    @pytest.mark.parametrize(
        ("ours", "theirs", "fits"),
        [
            ("It was a", "It was a dark night.", True),
            ("It was a", "Once upon a time", False),
            ("It was a dark night.", "It was a", False),
            ("", "Once upon a time", True),
            ("\n\nIt was", "It was a dark night.", True),
            ("It was ", "It was a dark night.", True),
        ],
        ids=["begins it", "another", "shorter", "none received", "trimmed", "ends in a space"],
    )
    def test_must_begin_the_whole(self, ours: str, theirs: str, *, fits: bool) -> None:
        row = self.adopt(ours, response_text=theirs)
        assert (row.remote_id is not None) is fits

    def test_chooses_among_equals(self) -> None:
        content = {"response_text": "It was"}
        row = lost(mode=Mode.STREAM, status=Status.RUNNING, content=content)
        remotes = [
            listed(id="nearest", response_text="Once upon a time"),
            listed(id="ours", response_text="It was a", created_at=NOW + SECOND),
        ]
        assert adopt_from([row], remotes, now=NOW) == []
        assert fresh(row).remote_id == "ours"

    def test_is_no_answer_where_the_remote_tells_none(self) -> None:
        """Only the cost is known then, and nothing claims that this text is the whole."""
        row = self.adopt("It was a", response_text="", credits_used=Decimal("0.5"))
        assert (row.status, row.error_code) == ("failed", "stream_interrupted")
        assert (row.remote_id is not None, row.credits_used) == (True, Decimal("0.5"))
        assert (row.content.response_text, row.partial) == ("It was a", True)

    @pytest.mark.parametrize("reported", ["", "It", "It was a dark"])
    def test_is_kept_where_the_generation_failed(self, reported: str) -> None:
        row = self.adopt(
            "It was a", status="failed", failed_reason="overloaded", response_text=reported
        )
        assert (row.status, row.error_code, row.partial) == ("failed", "remote_failed", True)
        assert row.content.response_text == "It was a"
        assert row.content.failed_reason == "overloaded"

    @pytest.mark.parametrize(
        ("ours", "theirs", "whole"),
        [
            ("\n\nHello", "Hello world", "\n\nHello world"),
            ("\n\nHello ", "Hello world", "\n\nHello world"),
            ("Hello\n\nthere", "Hello there you", "Hello\n\nthere you"),
        ],
    )
    def test_keeps_readers_places_where_white_space_was_trimmed(
        self, ours: str, theirs: str, whole: str
    ) -> None:
        assert self.adopt(ours, response_text=theirs).content.response_text == whole

    @pytest.mark.parametrize("reported", ["", "It"])
    def test_is_waited_for_while_the_remote_tells_less(self, reported: str) -> None:
        """What is under way may be ours or another's; it is not absent, though."""
        content = {"response_text": "It was a"}
        row = lost(
            mode=Mode.STREAM,
            status=Status.RUNNING,
            content=content,
            partial=True,
            polls=9,
            updated_at=NOW - 600 * SECOND,
        )
        settle_lost([row], Reading([listed(status="running", response_text=reported)]), now=NOW)
        row = fresh(row)
        assert (row.status, row.remote_id) == ("running", None)
        assert row.due_at is not None
        assert NOW < row.due_at < NOW + 120 * SECOND

    def test_is_not_waited_for_where_another_thing_was_asked(self) -> None:
        received_at = NOW - 600 * SECOND
        row = lost(mode=Mode.STREAM, status=Status.RUNNING, polls=9, updated_at=received_at)
        other = listed(status="running", messages=[{"role": "user", "content": "Goodbye"}])
        settle_lost([row], Reading([other]), now=NOW)
        assert fresh(row).status == "failed"

    def test_gives_way_to_the_whole(self) -> None:
        row = self.adopt("It was a", response_text="It was a dark night.")
        assert (row.status, row.partial) == ("done", False)
        assert row.content.response_text == "It was a dark night."

    def test_keeps_calls_that_the_remote_does_not_tell(self) -> None:
        calls = [{"name": "wave", "args": {}}]
        content = {"response_text": "It was", "response_function_calls": calls}
        row = lost(mode=Mode.STREAM, status=Status.RUNNING, content=content, partial=True)
        assert adopt_from([row], [listed(response_text="It was a")], now=NOW) == []
        assert fresh(row).content.response_function_calls == calls

    def test_gives_way_to_calls_of_functions(self) -> None:
        call = {"name": "wave", "args": {}}
        row = self.adopt("", response_text="", response_function_calls=[call])
        assert (row.status, row.partial) == ("done", False)
        assert row.content.response_function_calls == [call]

    def test_of_other_modes_is_no_matter(self) -> None:
        row = lost(content={"response_text": "x"})
        assert adopt_from([row], [listed(response_text="It was")], now=NOW) == []


class TestGivenUp:
    """A stream that failed, and that the remote lists afterwards."""

    def give_up(self) -> Generation:
        row = lost(mode=Mode.STREAM, status=Status.RUNNING, content={"response_text": "It was"})
        outcome = Outcome(
            error_code="stream_interrupted", failed_reason="It broke off.", partial=True
        )
        lifecycle.mark_failed(row.pk, cause=Cause.SWEEP, now=NOW, outcome=outcome)
        return fresh(row)

    def test_learns_its_cost_and_answer_and_stays_failed(self) -> None:
        row = self.give_up()
        remote = listed(id="r1", response_text="It was a", credits_used=Decimal("0.5"))
        assert adopt_from([row], [remote], now=NOW) == []
        row = fresh(row)
        assert (row.status, row.error_code, row.partial) == ("failed", "stream_interrupted", False)
        assert (row.remote_id, row.credits_used) == ("r1", Decimal("0.5"))
        assert row.content.response_text == "It was a"
        assert row.content.failed_reason == "It broke off."
        event = row.events.last()
        assert (event.status, event.cause) == ("failed", "reconcile")
        assert event.detail == "found in the list after it was given up"

    def test_leaves_it_to_a_row_of_another_account_that_waits(self) -> None:
        """Both accounts have keys of the same workspace."""
        row = self.give_up()
        Generation.objects.filter(pk=row.pk).update(workspace="w")
        lost(account="other", workspace="w")
        remote = listed(response_text="It was a")
        assert adopt_from([fresh(row)], [remote], now=NOW) == [row]

    def test_counts_in_the_day_s_sums_once(self) -> None:
        row = self.give_up()
        remote = listed(response_text="It was a", credits_used=Decimal("0.5"))
        assert adopt_from([fresh(row)], [remote], now=NOW) == []
        assert adopt_from([fresh(row)], [remote], now=NOW) != []
        usage = UsageDay.objects.get()
        sums = (usage.generations, usage.credits_used, usage.credits_unknown)
        assert sums == (1, Decimal("0.5"), 0)

    @pytest.mark.parametrize("status", [Status.UNCONFIRMED, Status.SUBMITTING, Status.RUNNING])
    def test_takes_nothing_that_a_row_which_waits_may_want(self, status: str) -> None:
        """Or a retry whose answer was lost would be taken for absent, and sent once more."""
        row = self.give_up()
        retry = lost(status=status, submitted_at=NOW + SECOND)
        remote = listed(id="of the retry", credits_used=Decimal(1))
        assert adopt_from([row], [remote], now=NOW) == [row]
        assert adopt_from([row, retry], [remote], now=NOW) == [row]
        assert (fresh(row).remote_id, fresh(retry).remote_id) == (None, "of the retry")

    @pytest.mark.parametrize(
        "other",
        [
            {"status": Status.QUEUED},
            {"submitted_at": NOW + 3600 * SECOND},
            {"account": "other"},
            {"fingerprint": "1" * 64},
            {"mode": Mode.STREAM, "content": {"response_text": "Once upon"}},
        ],
        ids=["not sent", "sent later", "of another account", "asked otherwise", "received else"],
    )
    def test_is_not_held_up_by_rows_that_cannot_want_it(self, other: dict[str, Any]) -> None:
        row = self.give_up()
        lost(**other)
        assert adopt_from([row], [listed(response_text="It was a")], now=NOW) == []

    def test_waits_for_the_remote_s_own_end(self) -> None:
        row = self.give_up()
        assert adopt_from([row], [listed(status="running")], now=NOW) == [row]
        assert fresh(row).remote_id is None

    def test_leaves_another_row_its_id(self, monkeypatch: pytest.MonkeyPatch) -> None:
        make_generation(status=Status.DONE, remote_id="r1")
        monkeypatch.setattr(adoption, "_not_adopted", lambda remotes: {PRINT: [*remotes]})
        row = self.give_up()
        assert adopt_from([row], [listed(id="r1", response_text="It was")], now=NOW) == [row]


class TestKnownRows:
    def test_are_found_on_a_site_without_time_zones(self, settings: Any) -> None:
        settings.USE_TZ = False
        at = NOW.replace(tzinfo=None)
        times = dict.fromkeys(["created_at", "due_at", "submitted_at", "first_submitted_at"], at)
        row = lost(**times, sent_until=at)
        later = {**times, "submitted_at": at + SECOND, "workspace": row.workspace}
        make_generation(remote_id="later", status=Status.DONE, **later)
        assert set(known_rows([row], Reading())) == {"later"}

    def test_are_all_found_in_the_hour_that_is_repeated_in_autumn(self, settings: Any) -> None:
        settings.USE_TZ, settings.TIME_ZONE = False, "Europe/Berlin"
        at = datetime.fromisoformat("2026-10-25 02:50")
        times = dict.fromkeys(["created_at", "due_at", "submitted_at", "first_submitted_at"], at)
        row = lost(**times, sent_until=at)
        half_an_hour_later = {**times, "submitted_at": at - timedelta(minutes=30)}
        facts = {**half_an_hour_later, "workspace": row.workspace}
        make_generation(remote_id="later", status=Status.DONE, **facts)
        [known] = known_rows([row], Reading()).values()
        assert known.latest_sent_at == datetime(2026, 10, 25, 1, 20, tzinfo=UTC)


class TestAbsence:
    def settle(self, row: Generation) -> Generation:
        settle_lost([row], honest_reading(), now=NOW)
        return fresh(row)

    def test_proved_sends_again(self) -> None:
        row = self.settle(lost(**absent_facts(), content={"failed_reason": "It may have been."}))
        assert (row.status, row.due_at, row.resends) == ("queued", NOW, 1)
        assert (row.absent_since, row.content.failed_reason) == (None, "")
        event = row.events.get()
        assert (event.cause, event.detail) == (
            "reconcile",
            "not in two lists: nothing was created",
        )

    def test_proved_sends_again_on_a_site_without_time_zones(self, settings: Any) -> None:
        row, reading = lost(**absent_facts()), honest_reading()
        settings.USE_TZ = False
        settle_lost([fresh(row)], reading, now=NOW.replace(tzinfo=None))
        assert fresh(row).status == Status.QUEUED

    @pytest.mark.parametrize("status", [Status.UNCONFIRMED, Status.EXPIRED])
    def test_is_no_proof_if_the_remote_has_delivered(self, status: Status) -> None:
        row = self.settle(lost(**absent_facts(), status=status, deliveries=1))
        assert row.status == status

    def test_is_noted_the_first_time(self) -> None:
        row = self.settle(lost(**{**absent_facts(), "absent_since": None}))
        assert (row.status, row.absent_since) == ("unconfirmed", NOW)
        assert row.absent_served_at == NOW

    def test_is_no_proof_if_only_the_database_s_clock_has_moved(self) -> None:
        """It was moved to a machine whose clock is right, eleven minutes ahead of the first."""
        facts = {**absent_facts(), "absent_served_at": NOW - timedelta(seconds=5)}
        assert self.settle(lost(**facts)).status == "unconfirmed"

    def test_keeps_the_time_of_the_first_list(self) -> None:
        since = NOW - 60 * SECOND
        row = self.settle(lost(**{**absent_facts(), "absent_since": since}))
        assert (row.status, row.absent_since) == ("unconfirmed", since)

    def test_is_void_once_something_is_found_that_may_be_the_row_s(self) -> None:
        row = lost(**absent_facts())
        reading = honest_reading()
        stranger = Listed("stranger", row.submitted_at, "of another request")
        settle_lost([row], reading._replace(listed=[*reading.listed, stranger]), now=NOW)
        row = fresh(row)
        assert (row.status, row.absent_since) == ("unconfirmed", None)

    @pytest.mark.parametrize("unknown", ["first_submitted_at", "sent_until", "polled_at"])
    def test_is_not_proved_of_a_row_that_does_not_know_its_send(self, unknown: str) -> None:
        row = self.settle(lost(**{**absent_facts(), unknown: None}))
        assert row.status == "unconfirmed"

    @pytest.mark.parametrize(
        "fields",
        [{"is_whole": False}, {"clocks": ()}, {"workspace": "another"}],
        ids=["half a list", "no clock", "another workspace"],
    )
    def test_is_not_proved_by_a_list_that_lacks(self, fields: dict[str, Any]) -> None:
        row = lost(**absent_facts())
        settle_lost([row], honest_reading(**fields), now=NOW)
        assert fresh(row).status == "unconfirmed"

    def test_is_proved_beside_what_a_deleted_row_had(self) -> None:
        make_generation(remote_id="gone", status=Status.DONE).delete()
        row = lost(**absent_facts())
        beside = Listed("gone", row.submitted_at, fingerprint="of nobody")
        reading = honest_reading()
        settle_lost([row], reading._replace(listed=[*reading.listed, beside]), now=NOW)
        assert fresh(row).status == Status.QUEUED

    def test_is_not_proved_beside_an_imported_generation(self) -> None:
        """It was nobody's when it was imported, so it may be the row's."""
        row = lost(**absent_facts())
        reading = honest_reading()
        Generation.objects.filter(remote_id="after").update(mode=Mode.IMPORTED)
        settle_lost([row], reading, now=NOW)
        assert fresh(row).status == "unconfirmed"

    def test_sends_again_once_in_a_row_s_life(self) -> None:
        row = self.settle(lost(**absent_facts(), resends=1))
        assert (row.status, row.resends) == ("unconfirmed", 1)

    def test_sends_again_once_even_if_two_processes_prove_it(self) -> None:
        row = lost(**absent_facts())
        Generation.objects.update(resends=1)
        assert self.settle(row).status == "unconfirmed"

    def test_proves_nothing_of_a_later_send(self) -> None:
        row = lost(**absent_facts())
        Generation.objects.update(attempts=2)
        assert self.settle(row).status == "unconfirmed"

    @pytest.mark.parametrize("mode", [Mode.ASYNC, Mode.STREAM])
    @pytest.mark.parametrize("status", [Status.UNCONFIRMED, Status.EXPIRED])
    def test_proves_nothing_of_a_row_that_was_touched_since(self, mode: str, status: str) -> None:
        row = lost(mode=mode, status=status, polls=2, **absent_facts())
        Generation.objects.update(claim=None, unverified_remote_id="r1")  # as a delivery does
        assert self.settle(row).status == status

    def test_is_waited_for_if_the_host_forbids_a_second_send(self, settings: Any) -> None:
        settings.CREATIFY_TEXTGEN = {"RESEND_UNCONFIRMED": "never"}
        row = self.settle(lost(**absent_facts()))
        assert (row.status, row.credits_used) == ("unconfirmed", None)
        assert NOW < row.due_at <= NOW + 15 * SECOND

    def test_unproved_expires_from_the_first_send(self) -> None:
        facts = {**absent_facts(), "absent_since": None, "workspace": "another"}
        facts["first_submitted_at"] = NOW - timedelta(days=2)
        reason = {"failed_reason": "It may have been charged."}
        row = self.settle(lost(**facts, content=reason))
        assert (row.status, row.error_code) == ("expired", "may_have_been_charged")
        assert (row.credits_used, row.content.failed_reason) == (None, "It may have been charged.")

    def test_unproved_leaves_what_has_expired_as_it_is(self) -> None:
        row = self.settle(lost(status=Status.EXPIRED))
        assert (row.status, row.credits_used) == ("expired", None)

    def test_proved_ends_what_has_expired(self) -> None:
        reason = {"failed_reason": f"{MAY_BE_CHARGED} Creatify says: overloaded"}
        row = self.settle(lost(status=Status.EXPIRED, **absent_facts(), content=reason))
        assert (row.status, row.error_code) == ("failed", "never_accepted")
        assert (row.credits_used, row.finished_at) == (Decimal(), NOW)
        assert row.content.failed_reason == (
            "The remote does not list it: nothing was created. Creatify says: overloaded"
        )
        assert row.events.get().cause == "reconcile"

    def test_of_a_stream_is_looked_at_once_more(self) -> None:
        row = self.settle(lost(mode=Mode.STREAM, polls=1, updated_at=NOW - 600 * SECOND))
        assert row.status == "unconfirmed"
        assert NOW + 2 * SECOND < row.due_at < NOW + 4 * SECOND
        assert not row.events.exists()

    @pytest.mark.parametrize(("seconds", "status"), [(299, "unconfirmed"), (300, "failed")])
    def test_of_a_stream_proves_nothing_while_it_may_go_on(self, seconds: int, status: str) -> None:
        """Counted from its last sign of life, however long ago it was sent."""
        ago = {"submitted_at": NOW - 600 * SECOND, "updated_at": NOW - seconds * SECOND}
        row = self.settle(lost(mode=Mode.STREAM, polls=9, **ago))
        assert row.status == status

    @pytest.mark.parametrize(("minute", "status"), [(4, "unconfirmed"), (5, "failed")])
    def test_of_a_stream_proves_as_little_when_clocks_change_in_spring(
        self, settings: Any, minute: int, status: str
    ) -> None:
        reading = honest_reading()
        settings.USE_TZ, settings.TIME_ZONE = False, "Europe/Berlin"
        at = datetime.fromisoformat("2026-03-29 01:59")
        times = dict.fromkeys(["created_at", "due_at", "submitted_at", "updated_at"], at)
        row = lost(mode=Mode.STREAM, polls=9, **times)
        settle_lost([row], reading, now=datetime.fromisoformat(f"2026-03-29 03:0{minute - 1}"))
        assert fresh(row).status == status

    def test_of_a_stream_twice_fails_it_with_its_part_of_the_text(self) -> None:
        received_at = NOW - 600 * SECOND
        content = {"response_text": "so far"}
        row = lost(mode=Mode.STREAM, polls=2, updated_at=received_at, content=content, partial=True)
        row = self.settle(row)
        assert (row.status, row.error_code, row.partial) == ("failed", "stream_interrupted", True)
        assert row.credits_used is None
        assert row.content.response_text == "so far"
        assert row.content.failed_reason == (
            "The stream broke off and the remote does not list its generation."
        )
        event = row.events.get()
        assert (event.cause, event.at) == ("reconcile", NOW)

    def test_of_one_row_is_no_matter_of_another_s(self) -> None:
        found, absent = lost(), lost(**absent_facts())
        remote = listed(status="pending")
        reading = honest_reading(candidates=[remote])
        shown = Listed(remote.id, remote.created_at, PRINT)
        settle_lost([absent, found], reading._replace(listed=[*reading.listed, shown]), now=NOW)
        assert (fresh(found).status, fresh(absent).status) == ("pending", "queued")


class TestResemblance:
    """The echo differs from the request in all but its texts."""

    def settle(self, row: Generation, *remotes: RemoteGeneration, **fields: Any) -> Generation:
        settle_lost([row], honest_reading(candidates=remotes, **fields), now=NOW)
        return fresh(row)

    def changed(self, **fields: Any) -> RemoteGeneration:
        return listed(**{"model_name": "rerouted", "config": {"top_p": 0.95}, **fields})

    def test_is_adopted_if_nothing_else_can_be_meant(self) -> None:
        row = self.settle(lost(), self.changed(id="r1"))
        assert (row.status, row.remote_id) == ("done", "r1")

    @pytest.mark.parametrize(
        "remotes",
        [
            [{}, {}],
            [{}, {"created_at": None}],
            [{"messages": [{"role": "user", "content": "Goodbye"}]}],
            [{"system_instruction": "Be brief."}],
            [{"created_at": NOW + LATER + 5 * SECOND}],
        ],
        ids=["two of them", "one of unknown age", "other texts", "another system", "too late"],
    )
    def test_is_not_adopted_from(self, remotes: list[dict[str, Any]]) -> None:
        row = self.settle(lost(), *(self.changed(**fields) for fields in remotes))
        assert (row.status, row.remote_id) == ("unconfirmed", None)

    @pytest.mark.parametrize("status", [Status.SUBMITTING, Status.UNCONFIRMED, Status.EXPIRED])
    def test_is_left_alone_if_another_row_may_be_meant(self, status: Status) -> None:
        lost(status=status, fingerprint="of another model", model_name="another")
        row = self.settle(lost(), self.changed())
        assert row.remote_id is None

    def test_is_left_alone_if_a_row_of_another_account_may_be_meant(self) -> None:
        """Both accounts have keys of the same workspace."""
        lost(account="other", workspace="w", fingerprint="of another model", model_name="another")
        row = self.settle(lost(workspace="w"), self.changed())
        assert row.remote_id is None

    def test_is_not_adopted_from_a_deleted_row(self) -> None:
        make_generation(remote_id="r1", status=Status.DONE).delete()
        row, remote = lost(), self.changed(id="r1")
        settle_lost([row], honest_reading()._replace(candidates=[remote]), now=NOW)
        assert fresh(row).status == Status.UNCONFIRMED

    def test_is_not_adopted_twice(self) -> None:
        make_generation(status=Status.DONE, remote_id="r1")
        assert self.settle(lost(), self.changed(id="r1")).remote_id is None

    @pytest.mark.parametrize("fields", [{"is_whole": False}, {"clocks": ()}])
    def test_is_not_adopted_from_a_list_that_may_hold_another(self, fields: Any) -> None:
        assert self.settle(lost(), self.changed(), **fields).remote_id is None


class TestSentAt:
    def test_is_in_utc(self) -> None:
        row = Generation(submitted_at=NOW.astimezone(ZoneInfo("Asia/Tokyo")))
        assert sent_at(row).tzinfo is UTC

    def test_of_a_site_without_time_zones_is_in_its_own(self, settings: Any) -> None:
        settings.TIME_ZONE = "Asia/Tokyo"
        row = Generation(submitted_at=datetime(2020, 11, 22, 21))  # noqa: DTZ001
        assert sent_at(row) == NOW


class TestStreamUnderWay:
    """Its remote id is in its last chunk; until then only the list may name it."""

    @pytest.fixture
    def pumped(self) -> Generation:
        soon = NOW + 60 * SECOND
        return lost(
            status=Status.RUNNING,
            mode=Mode.STREAM,
            submitted_at=NOW + 5 * SECOND,
            due_at=soon,
            polls=0,
        )

    @pytest.mark.parametrize("mode", [Mode.ASYNC, Mode.STREAM])
    def test_keeps_what_is_nearer_to_it(self, pumped: Generation, mode: Mode) -> None:
        row = lost(mode=mode)
        remote = listed(created_at=NOW + 6 * SECOND)

        settle_lost([row], Reading([remote]), now=NOW + 10 * SECOND)

        found = fresh(row)
        assert (found.status, found.remote_id) == (Status.UNCONFIRMED, None)
        # Neither adopted nor proved absent: it is looked for again.
        assert found.due_at is not None
        assert found.due_at > NOW

    def test_leaves_what_is_nearer_to_the_row(self, pumped: Generation) -> None:
        row, remote = lost(), listed(created_at=NOW + SECOND)

        assert adopt_from([row], [remote], now=NOW + 10 * SECOND) == []

        assert fresh(row).remote_id == remote.id

    def test_keeps_nothing_once_its_pump_is_missed(self, pumped: Generation) -> None:
        row, remote = lost(), listed(created_at=NOW + 6 * SECOND)

        settle_lost([row], Reading([remote]), now=NOW + 61 * SECOND)

        assert fresh(row).remote_id == remote.id
