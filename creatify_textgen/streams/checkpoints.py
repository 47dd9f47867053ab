"""Writes the texts of running streams to their rows, and stops the streams that somebody stopped.

One thread per process does this once a second. It also moves `due_at` of each row ahead, which
shows that the process of a silent stream has not died. Invariant: after `watching` ends, nothing
more is written for that stream.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from django.db import DatabaseError

from creatify_textgen import clock, databases, lifecycle
from creatify_textgen.dispatch.pump_silence import SIGN_OF_LIFE_SECONDS, longest_silence
from creatify_textgen.lifecycle import NOTHING_NEW, Outcome
from creatify_textgen.logs import STREAMS, warn_of
from creatify_textgen.models import Generation
from creatify_textgen.per_process import per_process
from creatify_textgen.streams import database
from creatify_textgen.streams.transcript import Transcript

__all__ = ["CheckpointWriter", "checkpoint_writer", "missed_at", "stop_here", "warn_of_refusal"]

INTERVAL_SECONDS = 1.0
"""The pause between two writes. If frames are lost, a reader takes their text from the row."""
CHARS_A_SECOND = 2**20
"""The whole text is written each time, so a very long text is written less often."""
CHARS_A_STATEMENT = 2**21
"""At most 8 MiB in UTF-8, half of what MariaDB takes by default (`max_allowed_packet`)."""
GRACE_SECONDS = 15.0
"""Added to the longest silence of a pump before a sweep takes its row."""


@dataclass(slots=True)
class WatchedStream:
    transcript: Transcript
    stop: Callable[[], None]
    written_at: float
    """By the monotonic clock: the last time at which a write of its row began."""
    written_number: int = 0
    """The number of the last chunk that this write contained."""


class CheckpointWriter:
    """The streams that are pumped in this process, and the thread that writes their rows."""

    def __init__(self) -> None:
        self._streams: dict[uuid.UUID, WatchedStream] = {}
        # Two locks, because a stream that begins must not wait for a statement of the database.
        # Who needs both takes `_writing` first.
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
        stop: Callable[[], None],
    ) -> Iterator[None]:
        """Keep this stream's row up to date until the block is left.

        `stop` is called, in another thread, if somebody stops the generation.
        """
        watched = WatchedStream(transcript, stop, written_at=time.monotonic())
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
            # Without the lock: it publishes frames, and no other stream has to wait for that.
            watched.stop()

    def stop_asked(self) -> None:
        """Stop the streams for which somebody asked that in any process."""
        # A stopped stream is read to its end, so it is still watched, but not asked about again.
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
                here, waited = watched.transcript.position, elapsed - watched.written_at
                is_new = here.number != watched.written_number
                if waited >= SIGN_OF_LIFE_SECONDS or (
                    is_new and waited >= here.text / CHARS_A_SECOND
                ):
                    # Noted before the write. Text that an outage keeps off the row comes with the
                    # next chunk, the next sign of life or the end.
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
            # `watching` sets the event under the same lock, so no new stream is missed.
            with self._lock:
                if not self._streams:
                    self._has_streams.clear()
                    continue
            try:
                database.run(self._look_after)
            except Exception as error:  # noqa: BLE001  this thread must live
                _report(error)


def _report(error: Exception) -> None:
    name = type(error).__name__
    if not databases.is_outage(error):
        text = "Could not save the texts of streams (%s); trying again."
        STREAMS.error(text, name, exc_info=databases.loggable(error))
        return
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
    return clock.after(now, longest_silence() + GRACE_SECONDS)


def warn_of_refusal(generation_id: uuid.UUID, error: Exception) -> None:
    """Log that the database refuses a part of what was received; without its own words.

    They may quote the answer: PostgreSQL adds "Failing row contains", MariaDB "Incorrect string
    value".
    """
    text = "The database refuses a part of the answer of generation %s (%s)."
    STREAMS.error(text, generation_id, type(error).__name__)


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
        # An outage concerns all of them, so they are not tried one by one.
        connection = databases.connection()
        if connection.connection is None or not connection.is_usable():
            raise
    else:
        return
    for generation_id, saved in batch.items():
        try:
            lifecycle.save_checkpoints({generation_id: saved}, now=now, due_at=due_at)
        except DatabaseError as error:
            warn_of_refusal(generation_id, error)
            # Without this, a sweep would regard the pump as dead while the remote still answers.
            sign_of_life = {generation_id: NOTHING_NEW}
            lifecycle.save_checkpoints(sign_of_life, now=now, due_at=due_at)
