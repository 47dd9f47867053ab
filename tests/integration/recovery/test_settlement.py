"""A person decides about a generation that may have been charged."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone

from creatify_textgen import clock, lifecycle, services
from creatify_textgen.exceptions import (
    RemoteUnavailableError,
    RequestError,
    TransitionError,
)
from creatify_textgen.intake import fingerprint
from creatify_textgen.models import Budget, Generation, UsageDay
from creatify_textgen.remote import RemoteGeneration
from creatify_textgen.states import Mode, Status
from tests.factories import HELLO, make_generation
from tests.faults.remote_double import RemoteDouble

pytestmark = pytest.mark.django_db(transaction=True)

MODEL = "gemini-2.5-flash"
ID = "01890000-0000-7000-8000-000000000001"
WORDS = "It may have been charged, and what it cost is unknown. Creatify says: overloaded"


def undecided(**fields: Any) -> Generation:
    """Save a generation that was sent two days ago, and expired."""
    sent_at = clock.now() - timedelta(days=2)
    row = {
        "status": Status.EXPIRED,
        "error_code": "may_have_been_charged",
        "model_name": MODEL,
        "fingerprint": fingerprint(MODEL, HELLO, "", {}),
        "attempts": 1,
        "created_at": sent_at,
        "first_submitted_at": sent_at,
        "submitted_at": sent_at,
        "sent_until": sent_at + timedelta(minutes=1),
    }
    content = {"failed_reason": WORDS, **fields.pop("content", {})}
    return make_generation(content=content, **{**row, **fields})


def remote_generation(row: Generation, **fields: Any) -> RemoteGeneration:
    """Return what the remote made of a row."""
    made = {
        "status": "done",
        "model_name": MODEL,
        "messages": HELLO,
        "response_text": "Good day.",
        "credits_used": Decimal("0.0005"),
        "created_at": row.first_submitted_at,
    }
    return RemoteGeneration(ID, **{**made, **fields})


def fresh(row: Generation) -> Generation:
    return row.reloaded()


class TestNeverAccepted:
    @pytest.mark.parametrize("status", [Status.EXPIRED, Status.UNCONFIRMED])
    def test_costs_nothing_and_says_who_said_so(self, double: RemoteDouble, status: Status) -> None:
        row = undecided(status=status)
        settled = services.settle(row, decision="never_accepted", by=User(username="ada"))
        assert (settled.status, settled.error_code) == ("failed", "never_accepted")
        assert settled.credits_used == 0
        assert settled.content.failed_reason.endswith("Creatify says: overloaded")
        event = settled.events.get()
        assert (event.cause, event.detail) == ("operator", "settled as never accepted, by ada")
        usage = UsageDay.objects.get()
        assert (usage.generations, usage.credits_used, usage.credits_unknown) == (1, 0, 0)
        assert double.generations == {}

    def test_is_refused_if_a_part_of_the_answer_is_here(self, double: RemoteDouble) -> None:
        row = undecided(mode=Mode.STREAM, partial=True)
        with pytest.raises(RequestError, match="it was accepted"):
            services.settle(row, decision="never_accepted")
        assert fresh(row).status == "expired"

    def test_is_refused_while_the_send_may_still_arrive(self, double: RemoteDouble) -> None:
        row = undecided(status=Status.UNCONFIRMED, sent_until=clock.now() + timedelta(minutes=1))
        with pytest.raises(RequestError, match="on its way"):
            services.settle(row, decision="never_accepted")

    def test_names_the_time_of_the_reader(self, double: RemoteDouble) -> None:
        ends = clock.now() + timedelta(minutes=1)
        row = undecided(status=Status.UNCONFIRMED, sent_until=ends)
        here = ends.astimezone(ZoneInfo("Asia/Tokyo"))
        with timezone.override("Asia/Tokyo"), pytest.raises(RequestError, match=f"{here:%H:%M:%S}"):
            services.settle(row, decision="never_accepted")


class TestCharged:
    def test_counts_what_it_cost(self, double: RemoteDouble) -> None:
        row = services.settle(undecided(), decision="charged", credits_used="0.25")
        assert (row.status, row.error_code) == ("failed", "answer_lost")
        assert row.credits_used == UsageDay.objects.get().credits_used == Decimal("0.25")

    def test_may_cost_what_nobody_knows(self, double: RemoteDouble) -> None:
        row = services.settle(undecided(), decision="charged")
        assert (row.status, row.credits_used) == ("failed", None)
        assert "unknown" in row.content.failed_reason
        usage = UsageDay.objects.get()
        assert (usage.credits_used, usage.credits_unknown) == (0, 1)

    def test_can_learn_its_cost_later(self, double: RemoteDouble) -> None:
        row = services.settle(undecided(), decision="charged")
        row = services.settle(row, decision="charged", credits_used=Decimal("0.25"))
        assert row.credits_used == Decimal("0.25")
        usage = UsageDay.objects.get()
        assert (usage.generations, usage.credits_used) == (1, Decimal("0.25"))
        assert usage.credits_unknown == 0

    @pytest.mark.parametrize("cost", ["", "-1", "NaN", "much", 0.5, True, "1e30"])
    def test_refuses_what_is_no_cost(self, double: RemoteDouble, cost: Any) -> None:
        row = undecided()
        with pytest.raises(RequestError) as caught:
            services.settle(row, decision="charged", credits_used=cost)
        assert list(caught.value.errors) == ["credits_used"]
        assert fresh(row).status == "expired"


class TestFound:
    @pytest.mark.parametrize("status", [Status.EXPIRED, Status.UNCONFIRMED])
    def test_takes_answer_and_cost(self, double: RemoteDouble, status: Status) -> None:
        row = undecided(status=status)
        double.generations[ID] = remote_generation(row)
        settled = services.settle(row, decision="found", remote_id=f" {ID} ")
        assert (settled.status, settled.remote_id) == ("done", ID)
        assert settled.content.response_text == "Good day."
        assert UsageDay.objects.get().credits_used == Decimal("0.0005")
        assert settled.events.get().detail == "settled as found at the remote"

    def test_may_be_echoed_with_other_settings(self, double: RemoteDouble) -> None:
        row = undecided()
        double.generations[ID] = remote_generation(row, config={"top_p": 1}, model_name="newer")
        assert services.settle(row, decision="found", remote_id=ID).status == "done"

    def test_is_polled_to_its_end(self, double: RemoteDouble) -> None:
        row = undecided()
        double.generations[ID] = remote_generation(row, status="running", response_text="")
        settled = services.settle(row, decision="found", remote_id=ID)
        assert (settled.status, settled.remote_id, settled.error_code) == ("expired", ID, "")
        assert settled.events.get().detail == "settled as found at the remote"
        double.generations[ID] = remote_generation(row)
        Generation.objects.update(due_at=clock.now())
        services.sweep()
        assert fresh(row).status == "done"

    def test_gives_a_stream_that_was_given_up_its_answer(self, double: RemoteDouble) -> None:
        row = undecided(
            mode=Mode.STREAM,
            status=Status.FAILED,
            error_code="stream_interrupted",
            partial=True,
            finished_at=clock.now(),
            content={"response_text": "Good"},
        )
        double.generations[ID] = remote_generation(row)
        settled = services.settle(row, decision="found", remote_id=ID)
        assert (settled.status, settled.partial) == ("failed", False)
        assert settled.credits_used == Decimal("0.0005")
        assert settled.content.response_text == "Good day."

    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            (
                {"messages": [{"role": "user", "content": "Bye"}]},
                "not the request of this generation",
            ),
            ({"created_at": datetime(2020, 1, 1, tzinfo=UTC)}, "was not created when"),
        ],
    )
    def test_refuses_what_is_another_s(
        self, double: RemoteDouble, fields: dict[str, Any], reason: str
    ) -> None:
        row = undecided()
        double.generations[ID] = remote_generation(row, **fields)
        with pytest.raises(RequestError, match=reason):
            services.settle(row, decision="found", remote_id=ID)
        assert (fresh(row).status, fresh(row).remote_id) == ("expired", None)

    def test_refuses_an_answer_that_a_stream_did_not_begin_with(self, double: RemoteDouble) -> None:
        row = undecided(mode=Mode.STREAM, partial=True, content={"response_text": "Bonjour"})
        double.generations[ID] = remote_generation(row)
        with pytest.raises(RequestError, match="does not begin with"):
            services.settle(row, decision="found", remote_id=ID)

    def test_refuses_what_another_row_has(self, double: RemoteDouble) -> None:
        row, holder = undecided(), make_generation(status=Status.DONE, remote_id=ID)
        double.generations[ID] = remote_generation(row)
        with pytest.raises(TransitionError, match=str(holder.pk)) as caught:
            services.settle(row, decision="found", remote_id=ID)
        assert caught.value.code == "remote_id_taken"

    def test_refuses_what_the_remote_does_not_have(self, double: RemoteDouble) -> None:
        with pytest.raises(RequestError, match="no generation of this id"):
            services.settle(undecided(), decision="found", remote_id=ID)

    def test_waits_for_a_remote_that_is_down(self, double: RemoteDouble) -> None:
        row = undecided()
        double.is_down = True
        with pytest.raises(RemoteUnavailableError):
            services.settle(row, decision="found", remote_id=ID)
        assert fresh(row).can_settle


class TestDecision:
    @pytest.mark.parametrize(
        "decision",
        [
            {"decision": "free"},
            {"decision": ""},
            {"decision": "found"},
            {"decision": "never_accepted", "credits_used": "1"},
            {"decision": "never_accepted", "remote_id": ID},
            {"decision": "found", "remote_id": ID, "credits_used": "1"},
        ],
    )
    def test_that_contradicts_itself_changes_nothing(
        self, double: RemoteDouble, decision: dict[str, Any]
    ) -> None:
        row = undecided()
        with pytest.raises(RequestError):
            services.settle(row, **decision)
        assert fresh(row).status == "expired"
        assert not row.events.exists()

    @pytest.mark.parametrize(
        "fields",
        [
            {"status": Status.DONE},
            {"status": Status.QUEUED},
            {"status": Status.SUBMITTING},
            {"status": Status.PENDING, "remote_id": ID},
            {"status": Status.EXPIRED, "remote_id": ID},
            {"status": Status.FAILED, "credits_used": 0},
            {"unverified_remote_id": ID},
        ],
        ids=str,
    )
    def test_is_only_about_what_nobody_knows(
        self, double: RemoteDouble, fields: dict[str, Any]
    ) -> None:
        row = undecided(**fields)
        with pytest.raises(TransitionError) as caught:
            services.settle(row, decision="charged", credits_used="1")
        assert caught.value.code == "not_undecided"
        assert fresh(row).status == row.status

    def test_gives_way_to_a_delivery_of_this_moment(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        row = undecided()
        claim_one = lifecycle.claim_one

        def claim_and_receive(*args: Any, **options: Any) -> Generation | None:
            claimed = claim_one(*args, **options)
            now = clock.now()
            lifecycle.note_delivery(row.pk, ID, now=now, second_ago=now, second_later=now)
            return claimed

        monkeypatch.setattr(lifecycle, "claim_one", claim_and_receive)
        with pytest.raises(TransitionError):
            services.settle(row, decision="never_accepted")
        assert (fresh(row).status, fresh(row).unverified_remote_id) == ("expired", ID)

    def test_is_taken_by_coroutines(self, double: RemoteDouble) -> None:
        row = undecided()
        assert async_to_sync(services.asettle)(row, decision="charged").status == "failed"


class TestMistake:
    """What a person has closed, and the remote lists after all."""

    @pytest.mark.parametrize(
        "decision", [{"decision": "never_accepted"}, {"decision": "charged", "credits_used": 3}]
    )
    def test_is_corrected_by_the_list(self, double: RemoteDouble, decision: dict[str, Any]) -> None:
        row = services.settle(undecided(), **decision)
        double.generations[ID] = remote_generation(row)
        report = services.reconcile(fix=True)
        assert (report.adopted.count, report.remote_only.count) == (1, 0)
        row = fresh(row)
        assert (row.status, row.remote_id, row.error_code) == ("failed", ID, "found_late")
        assert row.content.response_text == "Good day."
        assert "found later" in row.content.failed_reason
        usage = UsageDay.objects.get()
        assert (usage.generations, usage.credits_used) == (1, Decimal("0.0005"))
        assert services.reconcile().is_clean


class TestCommand:
    def settle(self, *args: str) -> str:
        out = StringIO()
        call_command("textgen_reconcile", *args, stdout=out)
        return out.getvalue()

    def test_shows_what_waits_for_a_decision(self, double: RemoteDouble) -> None:
        row = undecided()
        out = StringIO()
        with pytest.raises(SystemExit):
            call_command("textgen_reconcile", stdout=out)
        assert f"{row.pk}  sent {row.first_submitted_at:%Y-%m-%d %H:%M:%S} UTC" in out.getvalue()
        assert "--settle" in out.getvalue()

    def test_writes_a_decision(self, double: RemoteDouble) -> None:
        row = undecided()
        said = self.settle("--settle", str(row.pk), "--as", "charged", "--credits", "0.5")
        assert said == f"{row.pk} is failed, credits: 0.5000000000\n"
        assert fresh(row).credits_used == Decimal("0.5")

    def test_says_that_a_cost_is_unknown(self, double: RemoteDouble) -> None:
        row = undecided()
        assert "credits: unknown" in self.settle("--settle", str(row.pk), "--as", "charged")

    @pytest.mark.parametrize(
        "args",
        [
            ["--settle", "x", "--as", "charged"],
            ["--settle", str(uuid.uuid4()), "--as", "charged"],
            ["--settle", str(uuid.uuid4())],
            ["--as", "charged"],
            ["--credits", "1"],
        ],
    )
    def test_refuses_wrong_options(self, double: RemoteDouble, args: list[str]) -> None:
        with pytest.raises(CommandError):
            self.settle(*args)

    def test_says_why_a_decision_is_refused(self, double: RemoteDouble) -> None:
        row = undecided(status=Status.DONE)
        with pytest.raises(CommandError, match="a person decides only"):
            self.settle("--settle", str(row.pk), "--as", "charged")


class TestBudget:
    def test_keeps_its_hold_until_the_cost_is_known(self, double: RemoteDouble) -> None:
        Budget.objects.create(name="all", unit="credits", limit=10, period="total", is_hard=True)
        row = services.submit("Hello")
        period = Budget.objects.get().periods.get()
        held = period.reserved
        Generation.objects.update(
            status=Status.EXPIRED, attempts=1, first_submitted_at=row.created_at
        )
        services.settle(row, decision="charged")
        period.refresh_from_db()
        assert (period.reserved, period.unknown) == (0, held)
        services.settle(row, decision="charged", credits_used=2)
        period.refresh_from_db()
        assert (period.settled, period.unknown) == (2, 0)
