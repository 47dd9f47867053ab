"""Writes the texts of all streams under way to their rows, once a second, in few batches.

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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Protocol

from django.db import DatabaseError, connection
from django.utils import timezone

from creatify_textgen import lifecycle
from creatify_textgen.conf import conf
from creatify_textgen.lifecycle import NOTHING_NEW, Outcome
from creatify_textgen.models import Generation
from creatify_textgen.services.streaming import rows
from creatify_textgen.services.streaming.transcript import Transcript
from creatify_textgen.states import Mode, Status

__all__ = ["CheckpointWriter", "checkpoint_writer", "is_pumped", "missed_at"]

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 1.0
SIGN_OF_LIFE_SECONDS = 15.0
CHARS_A_SECOND = 2**20
"""A text is written whole each time, so a very long one is written more rarely."""
CHARS_A_STATEMENT = 2**21
"""At most 8 MiB, half of what MariaDB takes unless it is told otherwise."""
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
            checkpoints = {key: pump.transcript.progress() for key, pump in due.items()}
            for batch in _batches(checkpoints):
                _save(batch, now=now)

    def _due(self, elapsed: float) -> dict[uuid.UUID, _Pump]:
        due = {}
        with self._lock:
            for generation_id, pump in self._pumps.items():
                if elapsed - pump.began_at > LONGEST_STREAM_SECONDS:
                    pump.stream.close()
                here, waited = pump.transcript.position, elapsed - pump.written_at
                is_new = here.number != pump.written_number
                if waited >= SIGN_OF_LIFE_SECONDS or (
                    is_new and waited >= here.text / CHARS_A_SECOND
                ):
                    pump.written_number, pump.written_at = here.number, elapsed
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


def is_pumped(generation: Generation, *, now: datetime) -> bool:
    """Whether a pump is at work on this row, and knows more than the remote's list.

    It makes the row due only for `missed_at`, and leaves it due at its end.
    """
    sending = generation.status in (Status.SUBMITTING, Status.RUNNING)
    due_at = generation.next_check_at
    return (
        generation.mode == Mode.STREAM
        and sending
        and generation.remote_id is None
        and generation.checks == 0
        and due_at is not None
        and due_at > now
    )


def _batches(checkpoints: Mapping[uuid.UUID, Outcome]) -> Iterator[dict[uuid.UUID, Outcome]]:
    batch: dict[uuid.UUID, Outcome] = {}
    chars = 0
    for generation_id, saved in checkpoints.items():
        length = len(saved.response_text or "") + len(saved.response_thoughts or "")
        if batch and chars + length > CHARS_A_STATEMENT:
            yield batch
            batch, chars = {}, 0
        batch[generation_id] = saved
        chars += length
    if batch:
        yield batch


def _save(batch: Mapping[uuid.UUID, Outcome], *, now: datetime) -> None:
    """Save these together; where the database refuses one of them, the others all the same."""
    next_check_at = missed_at(now)
    try:
        lifecycle.save_checkpoints(batch, now=now, next_check_at=next_check_at)
    except DatabaseError:
        if connection.connection is None or not connection.is_usable():
            raise
    else:
        return
    for generation_id, saved in batch.items():
        try:
            lifecycle.save_checkpoints({generation_id: saved}, now=now, next_check_at=next_check_at)
        except DatabaseError:
            logger.exception("The database refuses the text so far of %s.", generation_id)
            sign_of_life = {generation_id: NOTHING_NEW}
            lifecycle.save_checkpoints(sign_of_life, now=now, next_check_at=next_check_at)


@lru_cache(maxsize=2)
def _writer(process_id: int) -> CheckpointWriter:
    # By process: threads do not survive a fork.
    return CheckpointWriter()
