"""The clock beside a real database, and nodes whose own clocks are wrong."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction  # noqa: F401  read by the skip condition
from django.utils import timezone

from creatify_textgen import clock, services
from creatify_textgen.dispatch.sending import prepare_send
from creatify_textgen.models import Generation
from creatify_textgen.states import Status
from tests.factories import NOW, make_generation
from tests.faults.remote_double import RemoteDouble

pytestmark = pytest.mark.django_db

SECOND = timedelta(seconds=1)


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process not have read the database's clock yet."""
    monkeypatch.setattr(clock, "_readings", {})


@pytest.mark.usefixtures("unread")
class TestReading:
    def test_is_the_databases_time(self) -> None:
        assert abs(clock.now() - timezone.now()) < 5 * SECOND

    def test_is_no_query_that_a_host_would_count(self, django_assert_num_queries: Any) -> None:
        with django_assert_num_queries(0):
            clock.now()

    def test_goes_on_within_a_transaction(self) -> None:
        with transaction.atomic():
            first = clock.now()
            time.sleep(0.05)
            clock._readings.clear()
            # A reading is only as exact as its round trip to the database.
            assert clock.now() - first >= timedelta(seconds=0.025)

    @pytest.mark.skipif(
        "connection.vendor == 'sqlite'", reason="SQLite has no clock but this machine's"
    )
    def test_ignores_this_nodes_clock(self, monkeypatch: pytest.MonkeyPatch) -> None:
        right = clock.now()
        ahead = time.time() + 180
        monkeypatch.setattr(time, "time", lambda: ahead)
        assert abs(clock.now() - right) < 5 * SECOND


@pytest.mark.usefixtures("still_clock")
class TestNodeAhead:
    @pytest.fixture(autouse=True)
    def _wrong_clock(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ahead = NOW + timedelta(seconds=60)
        monkeypatch.setattr(timezone, "now", lambda: ahead)

    def test_leaves_a_send_under_way_alone(self, double: RemoteDouble) -> None:
        """It sweeps while another node waits for the answer to its POST."""
        send = prepare_send(make_generation())
        assert send is not None
        before = Generation.objects.values().get()
        report = services.sweep()
        assert (report.claimed, Generation.objects.values().get()) == (0, before)

    def test_refreshes_no_send_under_way(self, double: RemoteDouble) -> None:
        send = prepare_send(make_generation())
        assert send is not None
        services.refresh(send.generation)
        assert Generation.objects.get().status == Status.SUBMITTING

    def test_counts_what_ends_on_the_databases_day(self, double: RemoteDouble) -> None:
        generation = make_generation()
        services.cancel(generation)
        assert Generation.objects.get().finished_at == NOW
