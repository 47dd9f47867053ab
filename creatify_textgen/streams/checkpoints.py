"""Writes the texts of running streams to their rows once a second, and reads which were stopped.

One thread per process. It also moves `due_at` of each row ahead, which shows that the process of a
silent stream has not died. Invariant: after `watching` ends, nothing more is written for
that stream.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from django.db import DatabaseError

from creatify_textgen import clock, databases, lifecycle
from creatify_textgen.conf import conf
from creatify_textgen.lifecycle import NOTHING_NEW, Outcome
from creatify_textgen.logs import STREAMS, warn_of
from creatify_textgen.models import Generation
from creatify_textgen.per_process import per_process
from creatify_textgen.streams import database
from creatify_textgen.streams.transcript import Transcript

__all__ = ["CheckpointWriter", "checkpoint_writer", "missed_at", "stop_here"]

INTERVAL_SECONDS = 1.0
SIGN_OF_LIFE_SECONDS = 15.0
CHARS_A_SECOND = 2**20
"""The whole text is written each time, so a very long text is written less often."""
CHARS_A_STATEMENT = 2**21
"""At most 8 MiB, half of what MariaDB takes by default."""
GRACE_SECONDS = 15.0
"""How long a row may go without a sign of life before a sweep regards its pump as dead."""
LONGEST_STREAM_SECONDS = 3600.0
"""A remote that sends nothing but keep-alives is given up after this."""


class Closable(Protocol):
    def close(self) -> None: ...


@dataclass(slots=True)
class WatchedStream:
    transcript: Transcript
    stream: Closable
    stop: Callable[[], None]
    began_at: float
    written_number: int = 0
    written_at: float = field(default=0.0)


class CheckpointWriter:
    def __init__(self) -> None:
        self._streams: dict[uuid.UUID, WatchedStream] = {}
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._has_streams = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def watching(
        self,
        generation_id: uuid.UUID,
        transcript: Transcript,
        *,
        stream: Closable,
        stop: Callable[[], None],
    ) -> Iterator[None]:
        """Keep this stream's row up to date until the block is left.

        `stop` is called, in another thread, if somebody stops the generation.
        """
        now = time.monotonic()
        watched = WatchedStream(transcript, stream, stop, now, written_at=now)
        with self._lock:
            self._streams[generation_id] = watched
            self._has_streams.set()
            self._start()
        try:
            yield
        finally:
            # Waits for a write that is running: the pump's next write must be the last one.
            with self._writing, self._lock:
                del self._streams[generation_id]

    def write(self, *, now: datetime, elapsed: float) -> None:
        """Write the texts that have changed, and signs of life for the others.

        `elapsed` is the time by the monotonic clock.
        """
        with self._writing:
            due = self._due(elapsed)
            checkpoints = {key: watched.transcript.progress() for key, watched in due.items()}
            for batch in _batches(checkpoints):
                _save(batch, now=now)

    def stop(self, generation_id: uuid.UUID) -> None:
        """Stop this stream if its pump is in this process."""
        with self._lock:
            watched = self._streams.get(generation_id)
        if watched is not None:
            watched.stop()

    def stop_asked(self) -> None:
        """Stop the streams for which somebody asked that in any process."""
        with self._lock:
            running = [key for key, each in self._streams.items() if not each.transcript.is_stopped]
        asked = Generation.objects.filter(pk__in=running).exclude(stopped_at=None)
        for generation_id in asked.values_list("pk", flat=True):
            self.stop(generation_id)

    def _look_after(self) -> None:
        self.stop_asked()
        self.write(now=clock.now(), elapsed=time.monotonic())

    def _due(self, elapsed: float) -> dict[uuid.UUID, WatchedStream]:
        due = {}
        with self._lock:
            for generation_id, watched in self._streams.items():
                if elapsed - watched.began_at > LONGEST_STREAM_SECONDS:
                    watched.stream.close()
                here, waited = watched.transcript.position, elapsed - watched.written_at
                is_new = here.number != watched.written_number
                if waited >= SIGN_OF_LIFE_SECONDS or (
                    is_new and waited >= here.text / CHARS_A_SECOND
                ):
                    watched.written_number, watched.written_at = here.number, elapsed
                    due[generation_id] = watched
        return due

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name="textgen-checkpoints", daemon=True
            )
            self._thread.start()

    def _run(self) -> None:
        while self._has_streams.wait():
            time.sleep(INTERVAL_SECONDS)
            with self._lock:
                if not self._streams:
                    self._has_streams.clear()
                    continue
            try:
                database.run(self._look_after)
            except Exception as error:  # noqa: BLE001  this thread must live
                _report(error)


def _report(error: Exception) -> None:
    if not databases.is_outage(error):
        STREAMS.error("Could not save the texts of streams; trying again.", exc_info=error)
        return
    name = type(error).__name__
    text = "The texts of streams wait for the database (%s)."
    warn_of(("texts wait", name), STREAMS, text, name)


@per_process
def checkpoint_writer() -> CheckpointWriter:
    """Return this process's writer."""
    return CheckpointWriter()


def stop_here(generation_id: uuid.UUID) -> None:
    """Stop a stream at once if its pump is in this process; others learn it within a second."""
    checkpoint_writer().stop(generation_id)


def missed_at(now: datetime) -> datetime:
    """Return when a pump that gives no sign of life counts as dead."""
    return clock.after(now, conf.timeouts["stream_idle"] + GRACE_SECONDS)


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
    """Save these together. If the database refuses one of them, the others are still saved."""
    due_at = missed_at(now)
    try:
        lifecycle.save_checkpoints(batch, now=now, due_at=due_at)
    except DatabaseError:
        connection = databases.connection()
        if connection.connection is None or not connection.is_usable():
            raise
    else:
        return
    for generation_id, saved in batch.items():
        try:
            lifecycle.save_checkpoints({generation_id: saved}, now=now, due_at=due_at)
        except DatabaseError:
            STREAMS.exception("The database refuses the text so far of %s.", generation_id)
            sign_of_life = {generation_id: NOTHING_NEW}
            lifecycle.save_checkpoints(sign_of_life, now=now, due_at=due_at)
