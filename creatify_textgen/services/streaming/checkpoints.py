"""Writes the texts of all streams under way to their rows, once a second, in one batch.

One thread a process. It also says for each pump that it lives, so that a stream which is silent
is not taken for one whose process died. Invariant: after `watching` ends, nothing more is written
for that stream.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Protocol

from django.utils import timezone

from creatify_textgen import lifecycle
from creatify_textgen.conf import conf
from creatify_textgen.lifecycle import Checkpoint
from creatify_textgen.services.streaming import rows
from creatify_textgen.services.streaming.transcript import Transcript

__all__ = ["CheckpointWriter", "checkpoint_writer", "missed_at"]

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 1.0
SIGN_OF_LIFE_SECONDS = 15.0
LONGEST_STREAM_SECONDS = 3600.0
"""A remote that sends nothing but keep-alives is given up after this."""


class Closable(Protocol):
    def close(self) -> None: ...


@dataclass(slots=True)
class _Pump:
    transcript: Transcript
    stream: Closable
    began_at: float
    written_number: int = 0
    written_at: float = field(default=0.0)


class CheckpointWriter:
    def __init__(self) -> None:
        self._pumps: dict[uuid.UUID, _Pump] = {}
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._has_pumps = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def watching(
        self, generation_id: uuid.UUID, transcript: Transcript, *, stream: Closable
    ) -> Iterator[None]:
        """Keep this stream's row up to date until the block is left."""
        now = time.monotonic()
        with self._lock:
            self._pumps[generation_id] = _Pump(transcript, stream, now, written_at=now)
            self._has_pumps.set()
            self._start()
        try:
            yield
        finally:
            # Waits for a write under way: what the pump writes next must be the last word.
            with self._writing, self._lock:
                del self._pumps[generation_id]

    def write(self, *, now: datetime, elapsed: float) -> None:
        """Write what has changed, and all that was not written for a while.

        `elapsed` is the monotonic clock.
        """
        with self._writing:
            due = self._due(elapsed)
            checkpoints = {key: Checkpoint(*pump.transcript.spoken()) for key, pump in due.items()}
            if checkpoints:
                lifecycle.save_checkpoints(checkpoints, now=now, next_check_at=missed_at(now))

    def _due(self, elapsed: float) -> dict[uuid.UUID, _Pump]:
        due = {}
        with self._lock:
            for generation_id, pump in self._pumps.items():
                if elapsed - pump.began_at > LONGEST_STREAM_SECONDS:
                    pump.stream.close()
                number = pump.transcript.position.number
                silent = elapsed - pump.written_at >= SIGN_OF_LIFE_SECONDS
                if number != pump.written_number or silent:
                    pump.written_number, pump.written_at = number, elapsed
                    due[generation_id] = pump
        return due

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name="textgen-checkpoints", daemon=True
            )
            self._thread.start()

    def _run(self) -> None:
        while self._has_pumps.wait():
            time.sleep(INTERVAL_SECONDS)
            with self._lock:
                if not self._pumps:
                    self._has_pumps.clear()
                    continue
            try:
                now = timezone.now()
                rows.run(partial(self.write, now=now, elapsed=time.monotonic()))
            except Exception:  # without this thread no stream here would give a sign of life
                logger.exception("Could not save the texts of streams; trying again.")


def checkpoint_writer() -> CheckpointWriter:
    """Return this process's writer."""
    return _writer(os.getpid())


def missed_at(now: datetime) -> datetime:
    """Return when a pump that gives no sign of life counts as dead."""
    return now + timedelta(seconds=conf.timeouts["stream_idle"] + conf.submit_lease)


@lru_cache(maxsize=2)
def _writer(process_id: int) -> CheckpointWriter:
    # By process: threads do not survive a fork.
    return CheckpointWriter()
