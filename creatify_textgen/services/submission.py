"""From messages to a row, and from the row to its send by a worker.

Invariant: the row is committed before anything is published or sent.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from creatify_textgen import enqueue, lifecycle
from creatify_textgen.conf import conf
from creatify_textgen.exceptions import RequestError, TransitionError
from creatify_textgen.models import Generation
from creatify_textgen.services import alarm, circuit
from creatify_textgen.services.intake import Intake, accept
from creatify_textgen.services.intents import save_intent, save_intents
from creatify_textgen.services.sending import Send, prepare_send, settle_send
from creatify_textgen.states import Cause, Mode, Status

__all__ = ["retry", "send_generation", "submit", "submit_many"]


def submit(
    messages: Any,
    *,
    model_name: str | None = None,
    system_instruction: str = "",
    config: Mapping[str, Any] | None = None,
    tools: Any = None,
    tool_config: Mapping[str, Any] | None = None,
    owner: Any = None,
    account: str = "default",
    metadata: Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
) -> Generation:
    """Save a generation and have a worker send it; returns at once.

    `messages` is a string, or the remote's list; a media part takes `data` (base64 text, bytes,
    a `pathlib.Path` or a Django file) or `media` (an id of a stored one).

    Raises: RequestError, and then nothing was saved or sent; its code is `idempotency_conflict`
    where the key stands for another request.
    """
    intake = accept(
        messages,
        model_name=model_name,
        system_instruction=system_instruction,
        config=config,
        tools=tools,
        tool_config=tool_config,
        owner=owner,
        account=account,
        metadata=metadata,
    )
    return submit_intake(intake, idempotency_key=idempotency_key)


def submit_intake(
    intake: Intake,
    *,
    idempotency_key: str | None = None,
    retry_of: Generation | None = None,
) -> Generation:
    """Save what was accepted and have a worker send it."""
    now = timezone.now()
    generation, is_new = save_intent(
        intake,
        mode=Mode.ASYNC,
        now=now,
        next_check_at=_enqueued_until(now),
        idempotency_key=idempotency_key,
        retry_of=retry_of,
    )
    if is_new:
        enqueue.submit(generation.pk)
    return generation


def submit_many(
    requests: Iterable[Mapping[str, Any]], *, owner: Any = None, account: str = "default"
) -> list[Generation]:
    """Save many generations and wake one sweep, which sends them a few at a time.

    Each request is a mapping of the keyword arguments of `submit`, `messages` among them.

    Raises: RequestError where any is wrong, each field under `requests[i]`; none is saved then.
    """
    intakes: list[Intake] = []
    errors: dict[str, list[str]] = {}
    for index, request in enumerate(requests):
        try:
            intakes.append(accept(**{"owner": owner, "account": account, **request}))
        except RequestError as error:
            errors |= {f"requests[{index}].{path}": text for path, text in error.errors.items()}
        except TypeError as error:
            errors[f"requests[{index}]"] = [str(error)]
    if errors:
        raise RequestError("Nothing was saved: some requests are wrong.", errors=errors)
    now = timezone.now()
    generations = save_intents(intakes, now=now, next_check_at=now)
    if generations:
        alarm.wake()
    return generations


def retry(
    generation: Generation, *, owner: Any = None, idempotency_key: str | None = None
) -> Generation:
    """Make a new asynchronous generation from the same request; it spends credits.

    It belongs to `owner`, or to the owner of the first.

    Raises: TransitionError with code `not_finished` while the first may still bring its result;
    RequestError where the request no longer passes, its media being gone for one.
    """
    if not generation.can_retry:
        raise TransitionError(
            f"Generation {generation.pk} is {generation.status}: wait until it has ended, or "
            "cancel it while it is queued.",
            code="not_finished",
        )
    content = generation.content
    intake = accept(
        **content.request_fields(),
        model_name=generation.model_name,
        owner=owner or generation.owner,
        account=generation.account,
        metadata=generation.metadata,
    )
    return submit_intake(intake, idempotency_key=idempotency_key, retry_of=generation)


def send_generation(generation_id: uuid.UUID) -> None:
    """Send a queued generation, if it still is; a worker's task. May be called twice."""
    generation = (
        Generation.objects.select_related("content")
        .filter(pk=generation_id, status=Status.QUEUED, hinted_remote_id="")
        .first()
    )
    if generation is None:
        return
    send = begin_send(generation, now=timezone.now())
    if send is not None:
        settle_send(send, call_quietly(send))
    alarm.set_for_next_due(now=timezone.now())


def begin_send(generation: Generation, *, now: datetime) -> Send | None:
    """Take the lease of a queued row, unless its stream was given up or its remote is down."""
    if generation.mode == Mode.STREAM:
        lifecycle.mark_cancelled(
            generation.pk, cause=Cause.SWEEP, now=now, detail="no pump took it up in time"
        )
        return None
    if generation.hinted_remote_id:
        # A delivery for a row we hold unsent: it was accepted after all. Look, never send.
        if lifecycle.mark_submitting(generation, now=now, lease_seconds=0):
            lifecycle.make_due(generation.pk, at=now)
        return None
    if circuit.calls_allowed(generation.account, now=now) == 0:
        until = circuit.open_until(generation.account) or now
        lifecycle.make_due(generation.pk, at=max(until, now + timedelta(seconds=1)))
        return None
    return prepare_send(generation, now=now)


def call_quietly(send: Send) -> Any:
    """Return the answer to a send, or what it raised."""
    try:
        return send.call()
    except Exception as error:  # noqa: BLE001  settle_send decides, and raises what is no answer
        return error


def _enqueued_until(now: datetime) -> datetime:
    """When the sweep takes over a row whose message nobody has taken."""
    return now + timedelta(seconds=conf.submit_lease)
