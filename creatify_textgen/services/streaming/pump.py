"""The pump: takes a queued stream up, reads the remote's stream and hands it to the hub.

Runs in a thread or a worker and knows no reader. Invariant: one POST that may have been accepted
for one generation, and its end is on the row before readers are told.
"""

from __future__ import annotations

import logging
import random
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import replace
from functools import partial

from django.db import Error as DatabaseFault
from django.db import IntegrityError, InterfaceError, OperationalError
from django.utils import timezone

from creatify_textgen import lifecycle
from creatify_textgen.exceptions import RemoteError, StreamError, TextgenError, TransitionError
from creatify_textgen.hub import START, Frame, get_hub
from creatify_textgen.lifecycle import Arrival
from creatify_textgen.models import Generation
from creatify_textgen.remote import ChunkStream, decide
from creatify_textgen.services import alarm, circuit
from creatify_textgen.services.sending import (
    LeaseLostError,
    Send,
    fail_send,
    settle_refusal,
)
from creatify_textgen.services.streaming import rows
from creatify_textgen.services.streaming.checkpoints import checkpoint_writer, missed_at
from creatify_textgen.services.streaming.endings import ending
from creatify_textgen.services.streaming.taking_up import call_off, take_up
from creatify_textgen.services.streaming.transcript import Transcript, transcripts_here
from creatify_textgen.services.streaming.verdicts import INTERRUPTED, Verdict, judge
from creatify_textgen.states import Cause, Status

__all__ = ["pump_stream"]

logger = logging.getLogger(__name__)

TRIES = 3
RETRY_WITHIN_SECONDS = 10.0
"""A reader waits, so what was surely not accepted is tried again at once or not at all."""
HEAD_START_SECONDS = 0.005
"""What a frame gets before its row is written: the hub's thread needs the interpreter, too."""
END_PAUSES = (0.5, 1, 2, 5, 10, 15)
"""Seconds between tries to write a stream's end; before a sweep would take its pump for dead."""
_REFUSED = (DatabaseFault, *lifecycle.REFUSALS)
HELD_UP = "The worker was held up until its time to send was over; nothing was sent."
CAME_LATE = "the stream came to its end after all"
DOUBTED = (
    "The remote may have accepted the request, but its answer never came; it is looked up. "
    "Asking again may pay twice: attach to this generation."
)


def pump_stream(generation_id: uuid.UUID) -> None:
    """Stream a queued generation to its readers and its row, if nobody does already.

    Blocks until the stream has ended. May be called twice: the second time does nothing.
    """
    send = rows.run(partial(take_up, generation_id))
    if send is None:
        return
    try:
        _Pump(send).run()
    except Generation.DoesNotExist:
        logger.warning("Generation %s was deleted while it was streamed.", generation_id)


class _Pump:
    def __init__(self, send: Send) -> None:
        self._send = send
        self._generation = send.generation
        self._key = str(send.generation.pk)
        self._transcript = Transcript()
        self._hub = get_hub()
        self._frames: list[Frame] = []
        """Read and not published yet."""
        self._marking: Future[None] | None = None
        transcripts_here[send.generation.pk] = self._transcript

    def run(self) -> None:
        stream = self._open()
        if stream is None:
            return
        error: Exception | None = None
        watching = checkpoint_writer().watching(
            self._generation.pk, self._transcript, stream=stream
        )
        try:
            with stream, watching:
                self._read(stream)
        except Exception as caught:  # noqa: BLE001 - readers are told of it before it is raised
            error = caught
        self._end(error)

    def _open(self) -> ChunkStream | None:
        """Return the remote's stream, or None where it was refused and readers were told."""
        until = time.monotonic() + RETRY_WITHIN_SECONDS
        for attempt in range(1, TRIES + 1):
            try:
                return self._send_once()
            except LeaseLostError:
                rows.run(partial(_give_up_lease, self._generation))
                return None
            except TextgenError as error:
                wait = _wait_before_retry(error, attempt)
                if wait is None or attempt == TRIES or time.monotonic() + wait > until:
                    self._tell_refusal(error, surely_not_sent=wait is not None)
                    return None
                time.sleep(wait)
            except Exception:
                self._end(StreamError("The send broke off."))
                raise
        raise AssertionError("unreachable")

    def _send_once(self) -> ChunkStream:
        # As for any other send: who slept through the lease must not send.
        if time.monotonic() > self._send.must_begin_before:
            raise LeaseLostError
        return self._send.client.stream(self._send.request)

    def _read(self, stream: ChunkStream) -> None:
        """Publish what arrived together, together: one by one costs as much as the parsing."""
        transcript, frames = self._transcript, self._frames
        stream.before_wait = self._publish_frames
        try:
            for chunk in stream:
                frames.append(transcript.add(chunk))
                if self._marking is None:
                    # Not waited for: the next frames must not wait for the database.
                    self._marking = rows.start(self._mark_running)
        finally:
            self._publish_frames()

    def _publish_frames(self) -> None:
        if self._frames:
            self._publish(self._frames)
            self._frames.clear()

    def _mark_running(self) -> None:
        time.sleep(HEAD_START_SECONDS)
        now = timezone.now()
        circuit.report_success(self._generation.account)
        lifecycle.mark_running(
            self._generation.pk,
            cause=Cause.STREAM,
            now=now,
            arrival=Arrival(next_check_at=missed_at(now)),
        )

    def _tell_refusal(self, error: TextgenError, *, surely_not_sent: bool) -> None:
        write = partial(_write_refusal, self._generation, error, is_uncharged=surely_not_sent)
        row = self._write_patiently(write)
        if row.status == Status.UNCONFIRMED:
            code, message, retry_after = str(Status.UNCONFIRMED), DOUBTED, None
        else:
            code, message = row.error_code or error.code, str(error)
            retry_after = getattr(error, "retry_after", None)
        self._publish(ending(row, START, code=code, message=message, retry_after=retry_after))

    def _end(self, error: Exception | None) -> None:
        """Write the end on the row, then tell the readers."""
        broken = error if isinstance(error, StreamError) or error is None else StreamError("broken")
        if self._marking is not None:
            wait([self._marking])
        time.sleep(HEAD_START_SECONDS)
        verdict = judge(self._transcript, error=broken)
        row = self._write_end_patiently(verdict)
        here = self._transcript.position
        code = verdict.code or (row.error_code if row.status == Status.FAILED else "")
        message = verdict.message or row.content.failed_reason
        self._publish(ending(row, here, code=code, message=message))
        if error is not None and not isinstance(error, TextgenError):
            raise error

    def _write_end_patiently(self, verdict: Verdict) -> Generation:
        """Write the end, again where the database is away: nobody else has the receipt."""
        write = partial(self._write_end, verdict)
        try:
            return self._write_patiently(write)
        except _REFUSED:
            # Where it is still away, this raises: the row stays open, and a sweep finds all of it.
            rows.run(partial(rows.load, self._generation.pk))
        for less in (verdict.outcome, verdict.outcome.without_json()):
            try:
                return rows.run(partial(self._write_end, replace(verdict, outcome=less)))
            except _REFUSED:
                logger.exception("The database refuses what %s has said.", self._key)
        bare = replace(verdict, outcome=verdict.outcome.without_answer())
        return rows.run(partial(self._write_end, bare))

    def _write_patiently(self, write: Callable[[], Generation]) -> Generation:
        for pause in END_PAUSES:
            try:
                return rows.run(write)
            except (OperationalError, InterfaceError) as error:
                logger.warning("The end of %s waits for the database: %s", self._key, error)
                time.sleep(pause)
        return rows.run(write)

    def _write_end(self, verdict: Verdict) -> Generation:
        write = self._leave_to_the_sweep if verdict.status is None else self._mark_final
        try:
            write(verdict)
        except (TransitionError, IntegrityError):
            if verdict.outcome.remote_id is None:
                raise
            # An equal request was adopted with our remote id, and has the cost, which must not
            # count twice; the text is ours all the same. Another fault is raised once more.
            told = replace(verdict.outcome, remote_id=None, credits_used=None)
            write(replace(verdict, outcome=told))
            logger.warning("The remote id and cost of %s are on another row.", self._key)
        return rows.load(self._generation.pk)

    def _mark_final(self, verdict: Verdict) -> None:
        mark = lifecycle.mark_done if verdict.status == Status.DONE else lifecycle.mark_failed
        now, key, told = timezone.now(), self._generation.pk, verdict.outcome
        if mark(key, cause=Cause.STREAM, now=now, outcome=told):
            return
        # A sweep took this pump for dead and gave the row up, or found it in the remote's list.
        for complete in (lifecycle.complete_failed, lifecycle.complete_found):
            if complete(key, told, cause=Cause.STREAM, now=now, detail=CAME_LATE):
                return
        if told.remote_id:
            # Such as a row that was found in the list under another id: reconcile shows this one.
            logger.error("%s was charged as %s, which its row has not.", self._key, told.remote_id)

    def _leave_to_the_sweep(self, verdict: Verdict) -> None:
        now = timezone.now()
        if self._transcript.is_empty:
            lifecycle.mark_unconfirmed(
                self._generation.pk,
                cause=Cause.STREAM,
                now=now,
                look_at=now,
                detail=INTERRUPTED,
                attempt=self._generation.attempts,
            )
        else:
            heard = {self._generation.pk: verdict.outcome}
            lifecycle.save_checkpoints(heard, now=now, next_check_at=now)
        alarm.wake()

    def _publish(self, frames: list[Frame]) -> None:
        self._hub.publish(self._key, frames)


def _give_up_lease(generation: Generation) -> None:
    """Take back what was not sent; its reader would not wait for another pump."""
    now = timezone.now()
    won = lifecycle.mark_queued(
        generation.pk,
        cause=Cause.STREAM,
        now=now,
        retry_at=now,
        detail="lease lost before the send",
        attempt=generation.attempts,
    )
    if won:
        call_off(generation, "not_taken_up", HELD_UP)


def _wait_before_retry(error: TextgenError, attempt: int) -> float | None:
    """Return how long to wait before the same send may be made again; None where it may not."""
    decision = decide(error, attempt, now=timezone.now(), random=random.random)
    return decision.after_seconds if decision.action == "retry" else None


def _write_refusal(
    generation: Generation, error: TextgenError, *, is_uncharged: bool
) -> Generation:
    now = timezone.now()
    if is_uncharged or not isinstance(error, RemoteError):
        if error.retryable and error.code != "rate_limited":
            circuit.report_failure(generation.account, now=now)
        fail_send(generation, code=error.code, reason=str(error), now=now)
    else:
        settle_refusal(generation, error, now=now)
        alarm.wake()
    return rows.load(generation.pk)
