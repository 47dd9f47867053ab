"""`manage.py textgen_sweep`: processes everything that is due, once for cron or in a loop.

Each pass calls `services.sweep` once, goes on with runs and bulk jobs, and prints one line.
"""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import CommandParser
from django.db import Error as DatabaseFault
from django.db import close_old_connections

from creatify_textgen import bulk, chat, services
from creatify_textgen.management.terminal import PlainCommand, format_time
from creatify_textgen.services import SweepReport


class Command(PlainCommand):
    help = "Send, poll and finish what is due. Safe to run together with workers and other sweeps."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--loop",
            type=_seconds,
            metavar="SECONDS",
            help="Repeat until SIGTERM or Ctrl-C, and wait this long between two passes.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["loop"] is None:
            self._print(_sweep())
        else:
            self._loop(options["loop"])

    def _loop(self, seconds: float) -> None:
        # The handler only sets an event. An exception could end a POST after the remote accepted it
        # and before its answer is saved.
        stopping = threading.Event()
        numbers = (signal.SIGINT, signal.SIGTERM)
        previous = {number: signal.signal(number, lambda *_: stopping.set()) for number in numbers}
        try:
            while not stopping.is_set():
                self._pass()
                stopping.wait(seconds)
        finally:
            for number, handler in previous.items():
                # `signal.signal` returns None for a handler that Python did not install, and
                # cannot restore that one.
                if handler is not None:
                    signal.signal(number, handler)

    def _pass(self) -> None:
        # Django drops broken connections only around requests, and a loop has none. So it continues
        # after a restart of the database. A single pass reports that by its exit code.
        close_old_connections()
        try:
            self._print(_sweep())
        except DatabaseFault as error:
            self.stderr.write(f"The database failed ({type(error).__name__}); trying again.")

    def _print(self, report: SweepReport) -> None:
        due = format_time(report.next_due_at) if report.next_due_at else "nothing"
        self.stdout.write(
            f"{report.claimed} due: {report.sent} sent, {report.polled} polled; "
            f"{report.announced} late signals; next due: {due}"
        )


def _sweep() -> SweepReport:
    report = services.sweep()
    # `here`: this command must also work on a site that has no worker.
    chat.sweep_runs(here=True)
    bulk.sweep_jobs(here=True)
    return report


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 86400:
        raise ArgumentTypeError("must be a number of seconds above 0, at most a day")
    return seconds
