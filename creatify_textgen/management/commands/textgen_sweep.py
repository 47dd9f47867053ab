"""`manage.py textgen_sweep`: one pass over what is due, for cron; or one every few seconds.

One call of `services.sweep` a pass, and a line that says what it did.
"""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import Error as DatabaseFault
from django.db import close_old_connections

from creatify_textgen import services
from creatify_textgen.services import SweepReport


class Command(BaseCommand):
    help = "Send, poll and settle whatever is due. Safe to run beside workers and other sweeps."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--loop",
            type=_seconds,
            metavar="SECONDS",
            help="Do not stop after one pass: wait so long between two, until SIGTERM or Ctrl-C.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["loop"] is None:
            self._tell(services.sweep())
        else:
            self._loop(options["loop"])

    def _loop(self, seconds: float) -> None:
        stopping = threading.Event()
        numbers = (signal.SIGINT, signal.SIGTERM)
        earlier = {number: signal.signal(number, lambda *_: stopping.set()) for number in numbers}
        try:
            while not stopping.is_set():
                self._pass()
                stopping.wait(seconds)
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)

    def _pass(self) -> None:
        # A loop outlives the database's restarts; a single pass reports them by its exit code.
        close_old_connections()
        try:
            self._tell(services.sweep())
        except DatabaseFault as error:
            self.stderr.write(f"The database failed ({type(error).__name__}); trying again.")

    def _tell(self, report: SweepReport) -> None:
        due = f"{report.next_due_at:%Y-%m-%d %H:%M:%S %Z}" if report.next_due_at else "nothing"
        self.stdout.write(
            f"{report.claimed} due: {report.sent} sent, {report.looked_at} looked at; "
            f"{report.announced} late signals; next due: {due}"
        )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 86400:
        raise ArgumentTypeError("must be a number of seconds above 0, at most a day")
    return seconds
