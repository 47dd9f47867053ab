"""Many hands on the same row at the same moment, on whichever database the run has."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from creatify_textgen import lifecycle, services
from creatify_textgen.dispatch.callbacks import make_token
from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Generation, UsageDay
from creatify_textgen.signals import generation_finished
from creatify_textgen.states import Status
from tests.factories import make_generation
from tests.faults.crowd import all_at_once
from tests.faults.kills.journeys import past_due

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

SENDERS = 32
ROWS = 200


@pytest.fixture
def finished() -> Iterator[Counter[uuid.UUID]]:
    """Count the signals, whichever thread sends them."""
    counts: Counter[uuid.UUID] = Counter()

    def count(generation: Generation, **_: Any) -> None:
        counts[generation.pk] += 1

    generation_finished.connect(count)
    yield counts
    generation_finished.disconnect(count)


def send_one() -> Generation:
    generation = services.submit("Say hello")
    services.send_generation(generation.pk)
    generation.refresh_from_db()
    return generation


def delivery_of(remote: Emulator) -> bytes:
    [generation] = remote.generations
    reported = {
        "id": generation.id,
        "status": "done",
        "response_text": generation.response_text,
        "credits_used": generation.credits_used,
    }
    return json.dumps(reported).encode()


def post(generation: Generation, body: bytes) -> int:
    """Deliver as the remote does, through the URL."""
    url = f"/textgen/webhooks/{generation.pk}/{make_token(generation.pk)}/"
    return Client().post(url, body, content_type="application/json").status_code


def sweep_repeatedly() -> None:
    for _ in range(8):
        services.sweep()


def refresh_repeatedly(generation: Generation) -> None:
    for _ in range(4):
        services.refresh(generation)


@pytest.mark.parametrize(
    "trust",
    [{"CONFIRM_WEBHOOKS": True}, {"CONFIRM_WEBHOOKS": False}],
    ids=["confirmed", "believed"],
)
class TestDelivery:
    def test_by_32_at_once_has_its_effects_once(
        self,
        remote: Emulator,
        settings: Any,
        finished: Counter[uuid.UUID],
        trust: dict[str, bool],
    ) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, **trust}
        generation = send_one()
        remote.finish(str(generation.remote_id))
        body = delivery_of(remote)

        statuses = all_at_once(
            *[partial(post, generation, body)] * SENDERS,
            *[sweep_repeatedly] * 4,
            *[partial(refresh_repeatedly, generation)] * 2,
            partial(services.reconcile, fix=True),
        )[:SENDERS]
        past_due()
        services.sweep()

        assert Counter(statuses) == {204: SENDERS}
        assert_ended_once(generation, finished)


class TestFinish:
    def test_of_both_kinds_at_once_is_one(
        self, remote: Emulator, finished: Counter[uuid.UUID]
    ) -> None:
        """Whoever comes first is right, and the others lose the race without a trace."""
        generation = send_one()
        ends = [lifecycle.mark_done, lifecycle.mark_failed]
        won = all_at_once(
            *[
                partial(
                    ends[turn % 2],
                    generation.pk,
                    cause="poll",
                    now=timezone.now(),
                    outcome=lifecycle.Outcome(),
                )
                for turn in range(16)
            ]
        )
        assert sum(won) == 1
        assert_ended_once(generation, finished)


def assert_ended_once(generation: Generation, finished: Counter[uuid.UUID]) -> None:
    generation.refresh_from_db()
    ends = generation.events.filter(status__in=["done", "failed"]).values_list("status", flat=True)
    assert list(ends) == [generation.status]
    day = UsageDay.objects.get()
    assert (day.generations, day.credits_used) == (1, generation.credits_used or 0)
    assert finished == {generation.pk: 1}


class TestSweep:
    def test_by_several_looks_at_no_row_twice(
        self, remote: Emulator, finished: Counter[uuid.UUID]
    ) -> None:
        services.submit_many([{"messages": f"Say {number}"} for number in range(ROWS)])
        services.sweep(time_limit=60)
        past_due()
        remote_ids = {generation.id for generation in remote.generations}
        assert remote.counters["gets"] == 0

        all_at_once(*[partial(services.sweep, time_limit=60)] * 4)

        polled = Counter(
            record.path.split("/")[-2] for record in remote.requests if record.kind == "get"
        )
        assert polled == dict.fromkeys(remote_ids, 1)
        assert Generation.objects.filter(status=Status.DONE).count() == ROWS
        assert sum(day.generations for day in UsageDay.objects.all()) == ROWS
        assert sorted(finished.values()) == [1] * ROWS

    def test_by_several_sends_no_row_twice(self, remote: Emulator) -> None:
        services.submit_many([{"messages": f"Say {number}"} for number in range(40)])
        all_at_once(*[partial(services.sweep, time_limit=60)] * 4)
        assert remote.counters["creates"] == 40

    def test_by_several_announces_once(self, finished: Counter[uuid.UUID]) -> None:
        now = timezone.now()
        for _ in range(20):
            make_generation(status=Status.DONE, finished_at=now, due_at=now)
        all_at_once(*[partial(lifecycle.announce_overdue, now=now, limit=500)] * 8)
        assert sorted(finished.values()) == [1] * 20


class TestClaim:
    def test_by_eight_shares_the_rows_out(self) -> None:
        now = timezone.now()
        due = now - timedelta(seconds=1)
        ids = {make_generation(status=Status.PENDING, due_at=due).pk for _ in range(120)}

        def claim_all() -> list[uuid.UUID]:
            mine: list[uuid.UUID] = []
            while Generation.objects.due(now).exists():
                rows = lifecycle.claim_due(
                    [Status.PENDING], now=now, hold_until=now + timedelta(minutes=2), limit=10
                )
                mine += [row.pk for row in rows]
            return mine

        claimed = [pk for mine in all_at_once(*[claim_all] * 8) for pk in mine]
        assert (len(claimed), set(claimed)) == (120, ids)


class TestSubmit:
    def test_task_of_one_row_by_eight_sends_once(self, remote: Emulator) -> None:
        generation = services.submit("Say hello")
        past_due()
        send = partial(services.send_generation, generation.pk)
        all_at_once(*[send] * 8, *[services.sweep] * 2)
        assert remote.counters["creates"] == 1
        generation.refresh_from_db()
        assert generation.attempts == 1

    @pytest.mark.parametrize("name", ["ada", None], ids=["of a user", "of nobody"])
    def test_with_one_key_by_sixteen_makes_one_generation(
        self, remote: Emulator, django_user_model: Any, name: str | None
    ) -> None:
        owner = django_user_model.objects.create_user(name) if name else None
        submit = partial(services.submit, "Say hello", owner=owner, idempotency_key="once")
        ids = {generation.pk for generation in all_at_once(*[submit] * 16)}
        assert ids == {Generation.objects.get().pk}

    def test_and_cancel_at_once_either_sends_or_cancels(self, remote: Emulator) -> None:
        generation = services.submit("Say hello")

        def cancel() -> bool:
            return lifecycle.mark_cancelled(generation.pk, cause="operator", now=timezone.now())

        *cancelled, _, _ = all_at_once(
            *[cancel] * 4, *[partial(services.send_generation, generation.pk)] * 2
        )
        assert remote.counters["creates"] == 1 - sum(cancelled)
