"""Sends a queued stream, reads the remote's answer and hands its frames to the hub: the pump.

It runs in a thread or in a worker, and knows no reader. The steps, and why their order is safe:

1. Claim the stream by taking the lease of its row. Only one pump gets it, however many start.
2. Send. If the remote certainly did not accept the request, it is sent again within seconds,
   because a reader waits. If the remote may have accepted it, it is never sent again: the row
   becomes `unconfirmed`, and a sweep looks for it in the remote's list.
3. Read chunks. Each chunk becomes a frame, which goes to the hub before the database is used,
   because readers must not wait for the database. The first chunk makes the row `running`. One
   thread of the process saves the text once a second and moves `due_at` ahead, which shows that
   the pump is alive.
4. At the end, write the row and then publish the end frame. So a reader may see the final row
   before the end frame, but an end frame never contradicts the row.

If the process is killed between two steps, the row stays open and `due_at` passes: a sweep looks
for the result. If the pump was only slow, it adds what the row still lacks. Invariants: at most
one POST that may have been accepted; the end is on the row before readers receive it; a receipt
that arrived is on the row, or is logged as an error.
"""

from __future__ import annotations

import random
import time
import uuid
from concurrent.futures import Future, wait
from dataclasses import replace
from functools import partial

from django.db import Error as DatabaseFault

from creatify_textgen import clock, databases, lifecycle
from creatify_textgen.dispatch import circuit, sweep_schedule
from creatify_textgen.dispatch.sending import LeaseLostError, Send
from creatify_textgen.dispatch.unaccepted import MAY_BE_CHARGED, fail_send, settle_refusal
from creatify_textgen.exceptions import RemoteError, StreamError, TextgenError, TransitionError
from creatify_textgen.lifecycle import Arrival
from creatify_textgen.logs import STREAMS
from creatify_textgen.models import Generation, GenerationEvent
from creatify_textgen.remote import ChunkStream, decide
from creatify_textgen.states import Cause, Status
from creatify_textgen.streams import database
from creatify_textgen.streams.checkpoints import checkpoint_writer, missed_at, warn_of_refusal
from creatify_textgen.streams.hub import START
from creatify_textgen.streams.outlet import Outlet
from creatify_textgen.streams.own_frames import ending
from creatify_textgen.streams.pickup import claim_as_text, claim_stream, give_up_lease
from creatify_textgen.streams.transcript import Transcript, transcripts_here
from creatify_textgen.streams.verdicts import INTERRUPTED, Verdict, judge

__all__ = ["pump_stream"]

TRIES = 3
RETRY_WITHIN_SECONDS = 10.0
"""How long a refused send is tried again. A reader waits, so it is short."""
HEAD_START_SECONDS = 0.005
"""From a frame to the write of its row: the hub's thread needs the interpreter first."""
END_PAUSES = (0.5, 1, 2, 5, 10, 15)
"""Seconds between tries to write a stream's end. Together they are shorter than the time after
which a sweep regards the pump as dead."""
CLAIM_PAUSES = (0.2, 0.5, 1, 2)
"""Seconds between tries to claim a stream: less than its readers wait for a pump."""
_REFUSED = (DatabaseFault, *lifecycle.REFUSALS)
CAME_LATE = "the stream ended after its row was given up"
DOUBTED = (
    "The remote may have accepted the request, but its answer never came. This site is looking "
    "for it. A new request may be paid for twice: attach to this generation instead."
)


def pump_stream(generation_id: uuid.UUID) -> None:
    """Stream a queued generation to its readers and its row, unless another pump does.

    Blocks until the stream has ended. May be called twice: the second time does nothing.
    Raises: RuntimeError inside a transaction, before anything is sent.
    """
    databases.refuse_transaction_of_worker("pump_stream")
    send = database.run_patiently(
        partial(claim_stream, generation_id), pauses=CLAIM_PAUSES, key=generation_id
    )
    if send is None:
        return
    # A stream may take minutes, and all statements from here on run in the pool of `database`.
    databases.let_go()
    try:
        _Pump(send).run()
    except Generation.DoesNotExist:
        STREAMS.warning("Generation %s was deleted while it was streamed.", generation_id)
    except Exception as error:
        # Only the type: a database error may quote the answer.
        STREAMS.error("The pump of generation %s died of %s.", generation_id, type(error).__name__)
        raise


class _Pump:
    def __init__(self, send: Send) -> None:
        self._send = send
        self._generation = send.generation
        self._key = str(send.generation.pk)
        self._transcript = Transcript()
        self._outlet = Outlet(send.generation, self._transcript)
        self._marking: Future[None] | None = None
        self._accepted_as = ""
        """The id that the answer named outside of its chunks; a sweep asks whether it is right."""
        transcripts_here()[send.generation.pk] = self._transcript

    def run(self) -> None:
        stream = self._open()
        if stream is None:
            return
        error: Exception | None = None
        watching = checkpoint_writer().watching(
            self._generation.pk, self._transcript, stop=self._outlet.stop
        )
        try:
            with stream, watching:
                self._read(stream)
        except Exception as caught:  # noqa: BLE001  raised once readers received the end
            error = caught
        self._end(error)

    def _open(self) -> ChunkStream | None:
        """Return the remote's stream. If it was refused, publish that and return None."""
        until = time.monotonic() + RETRY_WITHIN_SECONDS
        for attempt in range(1, TRIES + 1):
            try:
                return self._send.stream()
            except LeaseLostError:
                # This process was suspended. A sweep may have settled the row meanwhile.
                give_up = partial(give_up_lease, self._generation)
                database.run_patiently(give_up, pauses=END_PAUSES, key=self._generation.pk)
                return None
            except TextgenError as error:
                if attempt < TRIES and (send := claim_as_text(self._generation, error)):
                    self._send = send
                    continue
                wait = _wait_before_retry(error, attempt)
                if wait is None or attempt == TRIES or time.monotonic() + wait > until:
                    self._publish_refusal(error, surely_not_sent=wait is not None)
                    return None
                time.sleep(wait)
            except Exception:
                # A bug. Part of the request may have left, so the row becomes `unconfirmed`.
                # Readers receive an end before the error is raised.
                self._end(StreamError("The send broke off."))
                raise
        raise AssertionError("unreachable")  # The last attempt returns. mypy cannot see that.

    def _read(self, stream: ChunkStream) -> None:
        # Chunks that arrived in one block are one publication, and none waits for the next block.
        stream.before_wait = self._outlet.flush
        try:
            for chunk in stream:
                self._outlet.take(chunk)
                if self._marking is None:
                    # Not waited for: the next frames must not wait for the database.
                    self._marking = database.start(self._mark_running)
        finally:
            self._outlet.flush()

    def _mark_running(self) -> None:
        time.sleep(HEAD_START_SECONDS)
        now = clock.now()
        circuit.report_success(self._generation.account)
        lifecycle.mark_running(
            self._generation.pk,
            cause=Cause.STREAM,
            now=now,
            arrival=Arrival(due_at=missed_at(now)),
        )

    def _publish_refusal(self, error: TextgenError, *, surely_not_sent: bool) -> None:
        write = partial(_write_refusal, self._generation, error, is_uncharged=surely_not_sent)
        row = database.run_patiently(write, pauses=END_PAUSES, key=self._generation.pk)
        if row.status == Status.UNCONFIRMED:
            code, message, retry_after = str(Status.UNCONFIRMED), DOUBTED, None
        else:
            code, message = row.error_code or error.code, error.explanation
            retry_after = getattr(error, "retry_after", None)
        self._outlet.publish_end(
            ending(row, START, code=code, message=message, retry_after=retry_after)
        )

    def _end(self, error: Exception | None) -> None:
        """Write the end on the row, then publish it to the readers."""
        broken = error if isinstance(error, StreamError) or error is None else StreamError("broken")
        if self._marking is not None:
            # Otherwise the first write could follow the last one, and move `due_at` of a row that
            # is left to the sweep. `wait` does not raise its error.
            wait([self._marking])
        time.sleep(HEAD_START_SECONDS)
        self._outlet.close()
        verdict = judge(self._transcript, error=broken)
        self._accepted_as = broken.accepted_as if broken else ""
        row = self._write_end_patiently(verdict)
        code = verdict.code or (row.error_code if row.status == Status.FAILED else "")
        message = verdict.message or row.content.failed_reason
        here = self._transcript.position
        self._outlet.publish_end(ending(row, here, code=code, message=message))
        if error is not None and not isinstance(error, TextgenError):
            raise error

    def _write_end_patiently(self, verdict: Verdict) -> Generation:
        """Write the end. Only the pump has the receipt, so an outage of the database is waited for.

        If the database refuses a value, as much as it takes is written.
        """
        write = partial(self._write_end, verdict)
        try:
            return database.run_patiently(write, pauses=END_PAUSES, key=self._generation.pk)
        except _REFUSED:
            # If it is still unreachable, this raises: the row stays open, and a sweep finds it.
            database.run(partial(database.load, self._generation.pk))
        # Once more the whole: the outage may have ended just now.
        for less in (verdict.outcome, verdict.outcome.without_json()):
            try:
                return database.run(partial(self._write_end, verdict._replace(outcome=less)))
            except _REFUSED as error:
                warn_of_refusal(self._generation.pk, error)
        bare = verdict._replace(outcome=verdict.outcome.without_answer())
        return database.run(partial(self._write_end, bare))

    def _write_end(self, verdict: Verdict) -> Generation:
        write = self._leave_to_the_sweep if verdict.status is None else self._mark_final
        try:
            write(verdict)
        except TransitionError:
            # Adoption gave this remote id to another row with an equal request. That row has the
            # cost, which must not count twice. The text still belongs to this row.
            known = replace(
                verdict.outcome, remote_id=None, remote_id_as_sent=None, credits_used=None
            )
            write(verdict._replace(outcome=known))
            text = "The remote id and the cost of generation %s are on another row."
            STREAMS.warning(text, self._key)
        return database.load(self._generation.pk)

    def _mark_final(self, verdict: Verdict) -> None:
        mark = lifecycle.mark_done if verdict.status == Status.DONE else lifecycle.mark_failed
        now, key, known = clock.now(), self._generation.pk, verdict.outcome
        # Without `attempt`: a sweep never sends a stream again, so no other send can be meant.
        if mark(key, cause=Cause.STREAM, now=now, outcome=known):
            return
        own = GenerationEvent.objects.filter(generation=key, cause=Cause.STREAM)
        if own.filter(status=verdict.status).exists():
            return  # This pump has written it, and the database's answer was lost.
        # A sweep regarded this pump as dead: it failed the row, or found it in the remote's list.
        for complete in (lifecycle.complete_failed, lifecycle.complete_found):
            if complete(key, known, cause=Cause.STREAM, now=now, detail=CAME_LATE):
                return
        if known.remote_id:
            # For example, the row was found in the list under another id. `reconcile` reports this.
            text = "Generation %s was also charged as %s, which is not on its row."
            STREAMS.error(text, self._key, known.remote_id)

    def _leave_to_the_sweep(self, verdict: Verdict) -> None:
        now = clock.now()
        # Without a chunk nothing shows that the remote accepted the request.
        if self._transcript.is_empty:
            lifecycle.mark_unconfirmed(
                self._generation.pk,
                cause=Cause.STREAM,
                now=now,
                due_at=now,
                detail=INTERRUPTED,
                attempt=self._generation.attempts,
                reason=MAY_BE_CHARGED,
            )
        else:
            received = {self._generation.pk: verdict.outcome}
            lifecycle.save_checkpoints(received, now=now, due_at=now)
        if self._accepted_as:
            lifecycle.note_acceptance(self._generation.pk, self._accepted_as, now=now)
        sweep_schedule.request_sweep()


def _wait_before_retry(error: TextgenError, attempt: int) -> float | None:
    """Return how long to wait before the same send may be made again; None if it may not."""
    decision = decide(error, attempt, now=clock.known_now(), random=random.random)
    return decision.after_seconds if decision.action == "retry" else None


def _write_refusal(
    generation: Generation, error: TextgenError, *, is_uncharged: bool
) -> Generation:
    now = clock.now()
    # Not queued again, as `settle_refusal` would do: its readers receive the end now.
    if is_uncharged or not isinstance(error, RemoteError):
        circuit.report(generation.account, [error], now=now)
        fail_send(generation, code=error.code, reason=error.explanation, now=now)
    else:
        settle_refusal(generation, error, now=now)
        sweep_schedule.request_sweep()
    return database.load(generation.pk)
