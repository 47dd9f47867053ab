"""Sends one generation: takes its lease, makes the POST, and saves the result.

A send has three steps, so that a sweep can make many calls at once: `prepare_send` and
`settle_send` use the database, and `Send.call` uses only the network. Invariant: each send has a
lease, and a request that the remote may have accepted is not sent again from here.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from creatify_textgen import clock, control, databases, gateway, lifecycle
from creatify_textgen.clock import TimeLimit
from creatify_textgen.conf import conf
from creatify_textgen.dispatch import circuit
from creatify_textgen.dispatch.callbacks import webhook_url
from creatify_textgen.dispatch.function_calls import as_text, has_calls, is_call_refusal
from creatify_textgen.dispatch.snapshots import Snapshot, apply_snapshot
from creatify_textgen.dispatch.wire import wire_request
from creatify_textgen.exceptions import RemoteError, RequestError, TextgenError, TransitionError
from creatify_textgen.intake import fingerprint
from creatify_textgen.lifecycle import Outcome
from creatify_textgen.logs import SENDING, warn_of
from creatify_textgen.models import Generation
from creatify_textgen.remote import (
    ChunkStream,
    PreparedSend,
    RemoteClient,
    RemoteGeneration,
    asked_by,
    decide,
)
from creatify_textgen.states import Cause, Mode

__all__ = [
    "MAY_BE_CHARGED",
    "Send",
    "ask_as_text",
    "call_quietly",
    "fail_send",
    "is_out_of_time",
    "prepare_send",
    "settle_refusal",
    "settle_send",
]

MAY_BE_CHARGED = "It may have been charged, and what it cost is unknown."
OUR_FAULT_RETRY = timedelta(seconds=60)
"""The time until the next try if the site's settings or storage prevent a send."""
ANSWER_PAUSES = (0.5, 1, 2, 4)
"""Seconds between tries to write an answer. The remote names its id once, and may never list it."""
FIRST_POLL_AFTER = timedelta(seconds=15)
"""From a send without an answer to the first poll: the remote may need time to list it."""


class LeaseLostError(Exception):
    """Too much time passed between the lease and the send, so nothing was sent."""


@dataclass(slots=True)
class Send:
    """A send whose row has its lease."""

    generation: Generation
    client: RemoteClient = field(repr=False)
    prepared: PreparedSend = field(repr=False)
    begin_within: TimeLimit

    def call(self) -> RemoteGeneration:
        """POST once. No database: this may run in any thread.

        Raises: RemoteError, or LeaseLostError if nothing was sent.
        """
        self._refuse_late()
        with asked_by([self.generation.traceparent]):
            return self.client.create(self.prepared)

    def stream(self) -> ChunkStream:
        """The same for a stream; returns its chunks."""
        self._refuse_late()
        with asked_by([self.generation.traceparent]):
            return self.client.stream(self.prepared)

    def _refuse_late(self) -> None:
        # If this process was suspended until its lease ended, another process may have sent it.
        if self.begin_within.is_over:
            raise LeaseLostError


def call_quietly(send: Send) -> Any:
    """Return the answer to a send, or the exception that it raised."""
    try:
        return send.call()
    except Exception as error:  # noqa: BLE001  settle_send decides, and raises what is not an answer
        return error


def prepare_send(generation: Generation, *, sync: bool = False) -> Send | None:
    """Build the request, then take the lease. Return None if there is nothing to send.

    The order matters: reading media from a storage may take long, and the length of the lease
    depends on the size of the body. `generation` needs its content loaded. If the request cannot
    be built, the row fails here or is queued for a later try.

    Raises: RuntimeError inside a transaction, because after a rollback the row would be sent again.
    """
    databases.refuse_transaction_of_worker("send")
    try:
        client = gateway.client_for(generation.account)
        request = wire_request(
            generation, generation.content, webhook_url=webhook_url(generation), sync=sync
        )
        prepared = client.prepare(request, stream=generation.mode == Mode.STREAM)
    except (TextgenError, ImproperlyConfigured, ValueError) as error:
        if _take_lease(generation, seconds=conf.submit_lease):
            _settle_impossible(generation, error, now=clock.now())
        return None
    begin_within = TimeLimit(conf.submit_lease)
    if not _take_lease(generation, seconds=prepared.seconds + conf.submit_lease):
        return None
    return Send(generation, client, prepared, begin_within)


def _take_lease(generation: Generation, *, seconds: float) -> bool:
    generation.workspace = gateway.workspace_of(generation.account)
    # The caller's `now` may be old, because it may have sent other rows of the same batch first.
    return lifecycle.mark_submitting(generation, now=clock.now(), lease_seconds=seconds)


def settle_send(send: Send, answer: RemoteGeneration | Exception) -> bool:
    """Write the result of a send on its row, and return whether it was accepted.

    A database that fails over is waited for. Raises: an `answer` that no send should have, such
    as a bug. Before that the row becomes `unconfirmed`: nobody knows what was sent.
    """

    def warn(error: BaseException) -> None:
        text, name = "The answer to %s waits for the database (%s).", type(error).__name__
        warn_of(("answer waits", name), SENDING, text, send.generation.pk, name)

    write = partial(_settle_send, send, answer)
    is_accepted = databases.patiently(write, pauses=ANSWER_PAUSES, waits=warn)
    if not isinstance(answer, RemoteGeneration | LeaseLostError | TextgenError):
        # Raised out here: it may be the error of a storage that uses a database.
        raise answer
    return is_accepted


def _settle_send(send: Send, answer: RemoteGeneration | Exception) -> bool:
    now = clock.now()
    generation = send.generation
    match answer:
        case RemoteGeneration():
            # What failed since the row was read counts on: the next send reports its answer.
            if circuit.may_be_held(generation):
                circuit.report(generation.account, [answer], now=now)
            return _accept(generation, answer, now=now)
        case LeaseLostError():
            _requeue(generation, now=now, retry_at=now, detail="lease lost before the send")
        case RemoteError():
            settle_refusal(generation, answer, now=now)
        case TextgenError():
            # A file could not be read to its end. The body was cut, so the remote cannot accept it.
            _settle_impossible(generation, answer, now=now)
        case _:
            _doubt_send(generation, now=now, detail=type(answer).__name__)
    return False


def settle_refusal(generation: Generation, error: RemoteError, *, now: datetime) -> None:
    """Queue the row again, fail it, or make it `unconfirmed`, as the error requires."""
    circuit.report(generation.account, [error], now=now)
    if error.accepted_as:
        _doubt_send(generation, now=now, detail=_detail(error), words=error.explanation)
        lifecycle.note_acceptance(generation.pk, error.accepted_as, now=now)
        return
    if error.code == control.CREDITS_CODE:
        retry_at = control.pause_for_credits(generation.account, generation=generation, now=now)
        if generation.mode == Mode.ASYNC:
            _send_again(generation, error, now=now, retry_at=retry_at)
            return
    if generation.mode != Mode.STREAM and ask_as_text(generation, error, now=now, retry_at=now):
        return
    decision = decide(error, generation.attempts, now=now, random=random.random)
    if decision.action == "retry":
        retry_at = now + timedelta(seconds=decision.after_seconds)
        _send_again(generation, error, now=now, retry_at=retry_at)
    elif decision.action == "unconfirmed":
        _doubt_send(generation, now=now, detail=_detail(error), words=decision.message)
    else:
        fail_send(generation, code=decision.error_code, reason=decision.message, now=now)


def ask_as_text(
    generation: Generation, error: Exception, *, now: datetime, retry_at: datetime
) -> bool:
    """Queue a refused request again, its function calls as text; False if this does not help.

    Once in the row's life, and only if the remote refused it uncharged for a field of a call.
    """
    content = generation.content
    if generation.calls_as_text or not (conf.calls_as_text and is_call_refusal(error)):
        return False
    if not has_calls(content.messages):
        return False
    messages = as_text(content.messages)
    hashed = fingerprint(
        generation.model_name, messages, content.system_instruction, content.config
    )
    generation.calls_as_text = lifecycle.mark_queued_as_text(
        generation, fingerprint=hashed, cause=Cause.SUBMIT, now=now, retry_at=retry_at
    )
    return generation.calls_as_text


def fail_send(generation: Generation, *, code: str, reason: str, now: datetime) -> None:
    """Fail a generation that the remote will never accept. It costs nothing (contract, 7)."""
    outcome = Outcome(error_code=code, failed_reason=reason, credits_used=Decimal())
    lifecycle.mark_failed(
        generation.pk, cause=Cause.SUBMIT, now=now, outcome=outcome, attempt=generation.attempts
    )


def _send_again(
    generation: Generation, error: RemoteError, *, now: datetime, retry_at: datetime
) -> None:
    """Queue a request again that was surely refused, or fail it after `EXPIRE_AFTER`."""
    if is_out_of_time(generation, now=now):
        fail_send(generation, code=error.code, reason=error.explanation, now=now)
    else:
        _requeue(generation, now=now, retry_at=retry_at, detail=_detail(error))


def is_out_of_time(generation: Generation, *, now: datetime) -> bool:
    """Whether a request that was surely never accepted has waited for too long."""
    return now > clock.after(generation.created_at, conf.expire_after)


def _settle_impossible(generation: Generation, error: Exception, *, now: datetime) -> None:
    """Fail a request that is wrong. Queue it again if only the settings or the storage are."""
    if isinstance(error, RequestError):
        fail_send(generation, code=error.code, reason=str(error), now=now)
        return
    SENDING.error("Generation %s cannot be sent: %s", generation.pk, error)
    detail = error.code if isinstance(error, TextgenError) else "not configured"
    _requeue(generation, now=now, retry_at=now + OUR_FAULT_RETRY, detail=detail)


def _accept(generation: Generation, remote: RemoteGeneration, *, now: datetime) -> bool:
    try:
        moved = apply_snapshot(Snapshot(generation, remote), cause=Cause.SUBMIT, now=now)
    except TransitionError as error:
        # Another row with an equal request was given this id by adoption. Equal requests are
        # interchangeable, so this row now looks for the other's id in the remote's list.
        _doubt_send(generation, now=now, detail=error.code)
        return False
    if moved or lifecycle.note_acceptance(generation.pk, remote.id_in_urls, now=now):
        return moved
    is_written = Generation.objects.filter(pk=generation.pk, remote_id=remote.id).exists()
    if not is_written:
        # The row has another remote id, or is final. Reconciliation imports this one.
        SENDING.warning("%s was also accepted as %s; reconcile imports it.", generation, remote.id)
    return is_written


def _requeue(generation: Generation, *, now: datetime, retry_at: datetime, detail: str) -> None:
    lifecycle.mark_queued(
        generation.pk,
        cause=Cause.SUBMIT,
        now=now,
        retry_at=retry_at,
        detail=detail,
        attempt=generation.attempts,
        never_accepted=not generation.resends,
    )


def _doubt_send(generation: Generation, *, now: datetime, detail: str, words: str = "") -> None:
    lifecycle.mark_unconfirmed(
        generation.pk,
        cause=Cause.SUBMIT,
        now=now,
        due_at=now + FIRST_POLL_AFTER,
        detail=detail,
        attempt=generation.attempts,
        reason=f"{MAY_BE_CHARGED} {words}".strip(),
    )


def _detail(error: RemoteError) -> str:
    return f"{error.code} {error.status or ''}".strip()
