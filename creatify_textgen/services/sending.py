"""One send of one generation: the lease, the POST, and what its answer or its silence means.

Three steps, so that many can be on the wire at once: `prepare_send` and `settle_send` touch
the database, `Send.call` touches only the network. Invariant: nothing is sent without a lease
of its own, and nothing that may have been accepted is sent again from here.
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from creatify_textgen import gateway, lifecycle
from creatify_textgen.conf import conf
from creatify_textgen.exceptions import RemoteError, RequestError, TextgenError, TransitionError
from creatify_textgen.lifecycle import Outcome
from creatify_textgen.models import Generation
from creatify_textgen.remote import GenerationRequest, RemoteClient, RemoteGeneration, decide
from creatify_textgen.services import circuit
from creatify_textgen.services.callbacks import webhook_url
from creatify_textgen.services.intake import media_of, wire_request
from creatify_textgen.services.snapshots import Sighting, apply_sighting
from creatify_textgen.states import Cause, Mode

__all__ = ["Send", "fail_send", "prepare_send", "settle_refusal", "settle_send"]

logger = logging.getLogger(__name__)

OUR_FAULT_RETRY = timedelta(seconds=60)
"""Between two tries of what the site's own settings or storage do not let be sent."""


class LeaseLostError(Exception):
    """Too much time went by between the lease and the send; nothing was sent."""


@dataclass(slots=True)
class Send:
    """A send that has its lease."""

    generation: Generation
    client: RemoteClient = field(repr=False)
    request: GenerationRequest = field(repr=False)
    must_begin_before: float
    """On the monotonic clock."""

    def call(self) -> RemoteGeneration:
        """POST once. No database: this may run in any thread.

        Raises: RemoteError, or LeaseLostError where nothing was sent.
        """
        # A process that slept through its lease must not send: another may have by now.
        if time.monotonic() > self.must_begin_before:
            raise LeaseLostError
        return self.client.create(self.request)


def prepare_send(generation: Generation, *, now: datetime, sync: bool = False) -> Send | None:
    """Take the lease and build the request; None where there is nothing to send (any more).

    `generation` needs its content loaded. What makes the request impossible fails the row here.
    """
    started = time.monotonic()
    media = media_of(generation.content)
    body_bytes = sum(medium.size for medium in media.values()) * 4 // 3
    longest = gateway.longest_send(
        sync=sync, stream=generation.mode == Mode.STREAM, body_bytes=body_bytes
    )
    lease = longest + conf.submit_lease
    if not lifecycle.mark_submitting(generation, now=now, lease_seconds=lease):
        return None
    try:
        request = wire_request(
            generation,
            generation.content,
            media=media,
            webhook_url=webhook_url(generation),
            sync=sync,
        )
        client = gateway.client_for(generation.account)
    except TextgenError as error:
        _settle_impossible(generation, error, now=now)
        return None
    except (ImproperlyConfigured, ValueError) as error:
        logger.error("Generation %s cannot be sent: %s", generation.pk, error)
        _requeue(generation, now=now, retry_at=now + OUR_FAULT_RETRY, detail="not configured")
        return None
    return Send(generation, client, request, started + conf.submit_lease)


def settle_send(send: Send, answer: RemoteGeneration | Exception) -> None:
    """Write down what came of a send.

    Raises: what is neither an answer nor an error of the remote, after the row has been made
    `unconfirmed`, for then nobody knows what was sent.
    """
    now = timezone.now()
    generation = send.generation
    match answer:
        case RemoteGeneration():
            circuit.report_success(generation.account)
            _accept(generation, answer, now=now)
        case LeaseLostError():
            _requeue(generation, now=now, retry_at=now, detail="lease lost before the send")
        case RemoteError():
            settle_refusal(generation, answer, now=now)
        case TextgenError():
            # A medium that could not be read cut the body short, which nobody can accept.
            _settle_impossible(generation, answer, now=now)
        case _:
            _look_for_it(generation, now=now, detail=type(answer).__name__)
            raise answer


def settle_refusal(generation: Generation, error: RemoteError, *, now: datetime) -> None:
    """Requeue, fail or doubt a send, as the error allows."""
    if error.retryable and error.code != "rate_limited":
        circuit.report_failure(generation.account, now=now)
    elif error.status is not None:
        circuit.report_success(generation.account)  # It answered, whatever it said.
    decision = decide(error, generation.attempts, now=now, random=random.random)
    if decision.action == "retry":
        retry_at = now + timedelta(seconds=decision.after_seconds)
        _requeue(generation, now=now, retry_at=retry_at, detail=_detail(error))
    elif decision.action == "unconfirmed":
        _look_for_it(generation, now=now, detail=_detail(error))
    else:
        fail_send(generation, code=decision.error_code, reason=decision.message, now=now)


def fail_send(generation: Generation, *, code: str, reason: str, now: datetime) -> None:
    """Fail a generation whose send was refused for good, which costs nothing (contract, 7)."""
    outcome = Outcome(error_code=code, failed_reason=reason, credits_used=Decimal())
    lifecycle.mark_failed(
        generation.pk, cause=Cause.SUBMIT, now=now, outcome=outcome, attempt=generation.attempts
    )


def _settle_impossible(generation: Generation, error: TextgenError, *, now: datetime) -> None:
    """Fail what can never be sent; a storage that is away is only waited for."""
    if isinstance(error, RequestError):
        fail_send(generation, code=error.code, reason=str(error), now=now)
        return
    logger.error("Generation %s cannot be sent: %s", generation.pk, error)
    _requeue(generation, now=now, retry_at=now + OUR_FAULT_RETRY, detail=error.code)


def _accept(generation: Generation, remote: RemoteGeneration, *, now: datetime) -> None:
    try:
        apply_sighting(Sighting(generation, remote), cause=Cause.SUBMIT, now=now)
    except TransitionError as error:
        # An equal request was adopted with our id (they are interchangeable): look for its own.
        _look_for_it(generation, now=now, detail=error.code)


def _requeue(generation: Generation, *, now: datetime, retry_at: datetime, detail: str) -> None:
    lifecycle.mark_queued(
        generation.pk,
        cause=Cause.SUBMIT,
        now=now,
        retry_at=retry_at,
        detail=detail,
        attempt=generation.attempts,
    )


def _look_for_it(generation: Generation, *, now: datetime, detail: str) -> None:
    lifecycle.mark_unconfirmed(
        generation.pk,
        cause=Cause.SUBMIT,
        now=now,
        look_at=now + timedelta(seconds=conf.submit_lease),
        detail=detail,
        attempt=generation.attempts,
    )


def _detail(error: RemoteError) -> str:
    return f"{error.code} {error.status or ''}".strip()
