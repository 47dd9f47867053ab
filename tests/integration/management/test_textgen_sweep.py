"""`manage.py textgen_sweep`, against the emulator."""

from __future__ import annotations

import os
import signal
import threading
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from creatify_textgen import services
from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Generation
from creatify_textgen.services import SweepReport
from creatify_textgen.states import Status

pytestmark = pytest.mark.django_db(transaction=True)


def sweep(*arguments: str) -> str:
    out = StringIO()
    call_command("textgen_sweep", *arguments, stdout=out, stderr=out)
    return out.getvalue()


class TestOnePass:
    def test_says_that_nothing_was_due(self) -> None:
        assert sweep() == "0 due: 0 sent, 0 polled; 0 late signals; next due: nothing\n"

    def test_sends_what_no_worker_took_and_says_when_the_next_is_due(
        self, remote: Emulator
    ) -> None:
        [generation] = services.submit_many([{"messages": "Hello"}])
        assert sweep().startswith("1 due: 1 sent, 0 polled; 0 late signals; next due: 20")
        generation.refresh_from_db()
        assert generation.status == Status.PENDING


class TestLoop:
    def test_passes_until_it_is_told_to_stop(self, monkeypatch: pytest.MonkeyPatch) -> None:
        passes = []

        def count() -> SweepReport:
            passes.append(1)
            if len(passes) == 3:
                os.kill(os.getpid(), signal.SIGTERM)
            return SweepReport()

        monkeypatch.setattr(services, "sweep", count)
        before = signal.getsignal(signal.SIGTERM)
        assert sweep("--loop", "0.001").count("next due") == 3
        assert signal.getsignal(signal.SIGTERM) is before

    def test_leaves_a_handler_that_python_did_not_install(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls: list[Any] = []

        def install(number: int, handler: Any) -> None:
            calls.append(handler)
            handler(number, None)  # None is returned, as for a handler of a library in C.

        monkeypatch.setattr(signal, "signal", install)
        assert "next due" not in sweep("--loop", "0.001")
        assert len(calls) == 2

    def test_goes_on_where_the_database_failed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stop = threading.Event()

        def fail() -> SweepReport:
            if stop.is_set():
                os.kill(os.getpid(), signal.SIGINT)
                return SweepReport()
            stop.set()
            raise OperationalError("host=db password=sentinel")

        monkeypatch.setattr(services, "sweep", fail)
        reported = sweep("--loop", "0.001")
        assert "OperationalError" in reported
        assert "sentinel" not in reported
        assert "next due" in reported

    @pytest.mark.parametrize("seconds", ["0", "-1", "soon", "nan", "inf", "100000"])
    def test_refuses_what_is_no_interval(self, seconds: str) -> None:
        with pytest.raises(CommandError, match="number of seconds"):
            sweep("--loop", seconds)


class TestExpiry:
    def test_leaves_what_is_not_due(self, remote: Emulator, settings: Any) -> None:
        generation = services.submit("Hello")
        assert sweep().startswith("0 due")
        assert Generation.objects.get(pk=generation.pk).status == Status.QUEUED
