"""Sends one generation: takes its lease, makes the POST, and saves the result.

A send has three steps, so that a sweep can make many calls at once: `prepare_send` and
`settle_send` use the database, and `Send.call` uses only the network. Invariant: each send has a
lease, and a request that the remote may have accepted is not sent again from here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from creatify_textgen import clock, databases, gateway, lifecycle
from creatify_textgen.clock import TimeLimit
from creatify_textgen.conf import conf
from creatify_textgen.dispatch import circuit
from creatify_textgen.dispatch.callbacks import webhook_url
from creatify_textgen.dispatch.snapshots import Snapshot, apply_snapshot
from creatify_textgen.dispatch.unaccepted import (
    doubt_send,
    requeue,
    settle_impossible,
    settle_refusal,
)
from creatify_textgen.dispatch.wire import wire_request
from creatify_textgen.exceptions import RemoteError, TextgenError, TransitionError
from creatify_textgen.logs import SENDING, warn_of
from creatify_textgen.models import Generation
from creatify_textgen.remote import (
    ChunkStream,
    PreparedSend,
    RemoteClient,
    RemoteGeneration,
    asked_by,
)
from creatify_textgen.states import Cause, Mode

__all__ = ["LeaseLostError", "Send", "call_quietly", "prepare_send", "settle_send"]

ANSWER_PAUSES = (0.5, 1, 2, 4)
"""Seconds between tries to write an answer. The remote names its id once, and may never list it."""


class LeaseLostError(Exception):
    """Too much time passed between the lease and the send, so nothing was sent."""


@dataclass(slots=True)
class Send:
    """A send whose row has its lease."""

    generation: Generation
    client: RemoteClient = field(repr=False)
    prepared: PreparedSend = field(repr=False)
    begin_within: TimeLimit
    """The part of the lease in which the POST must begin. The rest is for the POST itself."""

    def call(self) -> RemoteGeneration:
        """POST once. No database: this may run in any thread.

        Raises: RemoteError, or LeaseLostError if nothing was sent.
        """
        self._refuse_late()
        with asked_by([self.generation.traceparent]):
            return self.client.create(self.prepared)

    def stream(self) -> ChunkStream:
        """POST once and return the chunks of the answer as they arrive. Raises: as `call`."""
        self._refuse_late()
        with asked_by([self.generation.traceparent]):
            return self.client.stream(self.prepared)

    def _refuse_late(self) -> None:
        # If this process was suspended until its lease ended, a sweep has taken the row for sent
        # and looks for it in the remote's list. A send after that might come after the proof of
        # absence.
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
    be built, the row fails here or is queued for a later try. If its content was erased meanwhile,
    it is cancelled.

    Raises: RuntimeError inside a transaction, because after a rollback the row would be sent again.
    """
    databases.refuse_transaction_of_worker("send")
    if generation.content_removed_at is not None:
        # Its owner was erased during an earlier send, which the remote did not accept.
        now = clock.now()
        detail = lifecycle.OWNER_ERASED
        lifecycle.mark_cancelled(generation.pk, cause=Cause.RETENTION, now=now, detail=detail)
        return None
    try:
        client = gateway.client_for(generation.account)
        request = wire_request(
            generation, generation.content, webhook_url=webhook_url(generation), sync=sync
        )
        prepared = client.prepare(request, stream=generation.mode == Mode.STREAM)
    except (TextgenError, ImproperlyConfigured, ValueError) as error:
        # Also under a lease, so that of two processes one writes the reason.
        if _take_lease(generation, seconds=conf.submit_lease):
            settle_impossible(generation, error, now=clock.now())
        return None
    # Shorter than the lease by the longest time that the POST can take.
    begin_within = TimeLimit(conf.submit_lease)
    if not _take_lease(generation, seconds=prepared.seconds + conf.submit_lease):
        return None
    return Send(generation, client, prepared, begin_within)


def _take_lease(generation: Generation, *, seconds: float) -> bool:
    # Kept on the row: the list of another workspace would prove nothing about it.
    generation.workspace = gateway.workspace_of(generation.account)
    # The caller's `now` may be old, because it may have sent other rows of the same batch first.
    return lifecycle.mark_submitting(generation, now=clock.now(), lease_seconds=seconds)


def settle_send(send: Send, answer: RemoteGeneration | Exception) -> bool:
    """Write the result of a send on its row, and return whether it was accepted.

    A database that fails over is waited for. Raises: an error of the database; and an `answer`
    that no send should have, such as a bug. Before that the row becomes `unconfirmed`.
    """

    def warn(error: BaseException) -> None:
        text, name = "The answer to %s waits for the database (%s).", type(error).__name__
        warn_of(("answer waits", name), SENDING, text, send.generation.pk, name)

    write = partial(_settle_send, send, answer)
    try:
        is_accepted = databases.patiently(write, pauses=ANSWER_PAUSES, waits=warn)
    except lifecycle.REFUSALS as error:
        if isinstance(answer, RemoteGeneration) and lifecycle.is_refusal(error):
            _keep_id(send.generation, answer, now=clock.now())
        raise
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
            requeue(generation, now=now, retry_at=now, detail="lease lost before the send")
        case RemoteError():
            settle_refusal(generation, answer, now=now)
        case TextgenError():
            # A file could not be read to its end. The body was cut, so the remote cannot accept it.
            settle_impossible(generation, answer, now=now)
        case _:
            doubt_send(generation, now=now, detail=type(answer).__name__)
    return False


def _keep_id(generation: Generation, remote: RemoteGeneration, *, now: datetime) -> None:
    """Keep the id of an answer with a value that the database refuses, so that it is asked again.

    The remote may never list it.
    """
    doubt_send(generation, now=now, detail="its answer could not be saved")
    lifecycle.note_acceptance(generation.pk, remote.id_in_urls, now=now)


def _accept(generation: Generation, remote: RemoteGeneration, *, now: datetime) -> bool:
    try:
        moved = apply_snapshot(Snapshot(generation, remote), cause=Cause.SUBMIT, now=now)
    except TransitionError as error:
        # Another row with an equal request was given this id by adoption. Equal requests are
        # interchangeable, so this row now looks for the other's id in the remote's list.
        doubt_send(generation, now=now, detail=error.code)
        return False
    if moved or lifecycle.note_acceptance(generation.pk, remote.id_in_urls, now=now):
        return moved
    is_written = Generation.objects.filter(pk=generation.pk, remote_id=remote.id).exists()
    if not is_written:
        # The row has another remote id, or is final. Reconciliation imports this one.
        SENDING.warning("%s was also accepted as %s; reconcile imports it.", generation, remote.id)
    return is_written
