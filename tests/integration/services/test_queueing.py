"""From a request to a queued row, and from the row to its send: what is passed on, and when."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from creatify_textgen import enqueue, services
from creatify_textgen.dispatch import sweep_schedule
from creatify_textgen.dispatch.turns import NO_PUMP, begin_send
from creatify_textgen.exceptions import RequestError, TransitionError
from creatify_textgen.models import Circuit, Generation, SweepSchedule
from creatify_textgen.states import Mode, Status
from tests.factories import NOW, make_generation
from tests.faults.remote_double import RemoteDouble

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("still_clock")]

SECOND = timedelta(seconds=1)
REQUEST: dict[str, Any] = {
    "model_name": "gemini-2.5-pro",
    "system_instruction": "Be brief.",
    "config": {"temperature": 0.5},
    "tools": [{"function_declarations": [{"name": "get_weather"}]}],
    "tool_config": {"function_calling_config": {"mode": "ANY"}},
    "metadata": {"order": 7},
}


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[uuid.UUID]:
    """Give the ids that were handed to a worker."""
    ids: list[uuid.UUID] = []
    monkeypatch.setattr(enqueue, "submit", ids.append)
    return ids


@pytest.fixture
def two_accounts(settings: Any) -> None:
    account = settings.CREATIFY_TEXTGEN["ACCOUNTS"]["default"]
    settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": account, "other": account}}


def asked(row: Generation) -> dict[str, Any]:
    names = ("system_instruction", "config", "tools", "tool_config")
    shown = {name: getattr(row.content, name) for name in names}
    return {"model_name": row.model_name, "metadata": row.metadata, **shown}


class TestSubmit:
    @pytest.mark.usefixtures("two_accounts")
    def test_passes_everything_on(self, published: list[uuid.UUID]) -> None:
        ada = User.objects.create_user("ada")
        services.submit("Hi", **REQUEST, owner=ada, account="other")
        row = Generation.objects.get()
        assert {name: asked(row)[name] for name in ("model_name", "metadata")} == {
            name: REQUEST[name] for name in ("model_name", "metadata")
        }
        assert row.content.system_instruction == "Be brief."
        assert row.content.config == {"temperature": 0.5}
        assert row.content.tools[0]["function_declarations"][0]["name"] == "get_weather"
        assert row.content.tool_config == REQUEST["tool_config"]
        assert (row.owner, row.account) == (ada, "other")

    def test_says_nothing_that_was_not_said(self, published: list[uuid.UUID]) -> None:
        row = services.submit("Hi")
        assert asked(row) == {
            "model_name": "gemini-3-flash-preview",
            "metadata": {},
            "system_instruction": "",
            "config": {},
            "tools": [],
            "tool_config": {},
        }

    def test_hands_a_new_row_to_a_worker_and_an_old_one_not(
        self, published: list[uuid.UUID]
    ) -> None:
        row = services.submit("Hi", idempotency_key="k1")
        services.submit("Hi", idempotency_key="k1")
        assert published == [row.pk]

    def test_gives_the_worker_some_time_before_a_sweep_takes_over(
        self, published: list[uuid.UUID]
    ) -> None:
        assert services.submit("Hi").due_at == NOW + 15 * SECOND


class TestSubmitMany:
    def test_tells_of_each_request_what_is_wrong(self) -> None:
        requests: list[dict[str, Any]] = [
            {"messages": ""},
            {"messages": "fine"},
            {"messages": "Hi", "config": {"temperature": 9}},
            {"mesages": "Hi"},
        ]
        with pytest.raises(
            RequestError,
            match=r"^Nothing was saved. requests\[0\].messages: Must .* \(and 1 more\)$",
        ) as e:
            services.submit_many(requests)
        paths = set(e.value.errors)
        assert {path.split(".")[0] for path in paths} == {
            "requests[0]",
            "requests[2]",
            "requests[3]",
        }
        assert "did you mean messages?" in e.value.errors["requests[3].mesages"][0]

    def test_is_due_at_once(self) -> None:
        services.submit_many([{"messages": "Hi"}])
        assert Generation.objects.get().due_at == NOW
        assert SweepSchedule.objects.get().due_at == NOW + timedelta(milliseconds=250)

    def test_of_nothing_wakes_nobody(self) -> None:
        assert services.submit_many([]) == []
        assert not SweepSchedule.objects.exists()


class TestRetry:
    @pytest.mark.usefixtures("two_accounts")
    def test_asks_the_same_for_the_same_owner(self, published: list[uuid.UUID]) -> None:
        ada = User.objects.create_user("ada")
        first = services.submit("Hi", **REQUEST, owner=ada, account="other")
        second = services.retry(services.cancel(first))
        assert asked(second) == asked(first)
        assert (second.owner, second.account, second.retry_of) == (ada, "other", first)

    def test_belongs_to_whom_it_is_asked_for(self, published: list[uuid.UUID]) -> None:
        ada, bob = (User.objects.create_user(name) for name in ("ada", "bob"))
        first = services.cancel(services.submit("Hi", owner=ada))
        assert services.retry(first, owner=bob).owner == bob

    def test_honors_a_key(self, published: list[uuid.UUID]) -> None:
        first = services.cancel(services.submit("Hi"))
        rows = {services.retry(first, idempotency_key="k1").pk for _ in range(2)}
        assert len(rows) == 1

    def test_waits_for_the_end_of_the_first(self, published: list[uuid.UUID]) -> None:
        first = services.submit("Hi")
        with pytest.raises(TransitionError) as caught:
            services.retry(first)
        assert caught.value.code == "not_finished"
        assert str(caught.value) == (
            f"Generation {first.pk} is queued: wait until it has ended, or cancel it while it is "
            "queued."
        )


class TestSendGeneration:
    def test_sends_that_row_alone(self, double: RemoteDouble) -> None:
        row, other = make_generation(), make_generation()
        services.send_generation(row.pk)
        row.refresh_from_db()
        other.refresh_from_db()
        assert (row.status, other.status) == ("pending", "queued")

    @pytest.mark.parametrize(
        "fields",
        [{"status": Status.PENDING}, {"unverified_remote_id": "r1"}],
        ids=["sent", "named"],
    )
    def test_leaves_what_it_must_not_send(
        self, double: RemoteDouble, fields: dict[str, Any]
    ) -> None:
        row = make_generation(**fields)
        before = Generation.objects.values().get()
        services.send_generation(row.pk)
        assert Generation.objects.values().get() == before
        assert not double.generations

    def test_leaves_what_was_sent_its_time_while_the_remote_is_down(
        self, double: RemoteDouble
    ) -> None:
        Circuit.objects.create(account="default", failures=5, open_until=NOW + 9 * SECOND)
        row = make_generation(status=Status.PENDING)
        services.send_generation(row.pk)
        assert Generation.objects.get().due_at == NOW + timedelta(minutes=1)

    def test_asks_for_the_sweep_that_looks_at_it(self, double: RemoteDouble) -> None:
        row = make_generation()
        services.send_generation(row.pk)
        row.refresh_from_db()
        assert SweepSchedule.objects.get(pk=sweep_schedule.SCHEDULE_ID).due_at == row.due_at


class TestBeginSend:
    def test_calls_off_a_stream_that_no_pump_took_up(self, double: RemoteDouble) -> None:
        row = make_generation(mode=Mode.STREAM)
        assert begin_send(row) is None
        row.refresh_from_db()
        event = row.events.get()
        assert (row.status, row.finished_at) == ("cancelled", NOW)
        assert (row.error_code, row.content.failed_reason) == ("not_taken_up", NO_PUMP)
        assert (event.cause, event.detail) == ("sweep", NO_PUMP)

    def test_looks_for_what_a_delivery_has_named(self, double: RemoteDouble) -> None:
        row = make_generation(unverified_remote_id="r1")
        other = make_generation()
        assert begin_send(row) is None
        row.refresh_from_db()
        other.refresh_from_db()
        assert (row.status, row.lease_until, row.due_at) == ("submitting", None, NOW)
        assert (row.attempts, row.submitted_at, row.events.get().cause) == (0, None, "webhook")
        assert other.due_at != NOW

    @pytest.mark.parametrize(
        ("open_until", "again"),
        [(NOW + 9 * SECOND, NOW + 9 * SECOND), (NOW + SECOND / 2, NOW + SECOND)],
        ids=["long", "hardly"],
    )
    def test_leaves_a_remote_alone_that_is_down(
        self, double: RemoteDouble, open_until: Any, again: Any
    ) -> None:
        Circuit.objects.create(account="default", failures=5, open_until=open_until)
        row, other = make_generation(), make_generation()
        assert begin_send(row) is None
        row.refresh_from_db()
        other.refresh_from_db()
        assert (row.status, row.due_at) == ("queued", again)
        assert other.due_at == NOW + timedelta(minutes=1)

    def test_gives_up_what_has_waited_for_so_long(self, double: RemoteDouble) -> None:
        Circuit.objects.create(account="default", failures=5, open_until=NOW + 9 * SECOND)
        row = make_generation(created_at=NOW - timedelta(days=2))
        assert begin_send(row) is None
        row.refresh_from_db()
        assert (row.status, row.error_code, row.credits_used) == ("failed", "remote_unavailable", 0)
        assert not double.generations

    def test_tries_a_remote_that_may_be_back(self, double: RemoteDouble) -> None:
        Circuit.objects.create(account="default", failures=5, open_until=NOW - SECOND)
        assert begin_send(make_generation()) is not None
        assert begin_send(make_generation()) is None
