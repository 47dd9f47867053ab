"""Saves what users want generated, and sends a saved row in a worker.

Invariant: the row is committed before anything is published or sent.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Unpack

from django.utils.translation import gettext as _

from creatify_textgen import clock, enqueue
from creatify_textgen.conf import conf
from creatify_textgen.dispatch import snapshots, sweep_schedule
from creatify_textgen.dispatch.function_calls import as_text
from creatify_textgen.dispatch.intents import Link, accept_request, save_intent, save_intents
from creatify_textgen.dispatch.sending import call_quietly, settle_send
from creatify_textgen.dispatch.turns import begin_send, with_obstacles
from creatify_textgen.exceptions import RequestError, TransitionError
from creatify_textgen.intake import Intake, check_arguments, expect_generation
from creatify_textgen.intake.reading import summary
from creatify_textgen.models import Generation
from creatify_textgen.remote.refusals import CALL_REFUSALS
from creatify_textgen.states import Mode, Status
from creatify_textgen.types import Messages, RequestOptions

__all__ = ["accept_request", "retry", "retry_linked", "send_generation", "submit", "submit_many"]

TAKEN_WITHIN = timedelta(seconds=15)
"""After this time, the sweep sends a row whose message was lost, or for which no worker runs."""


def submit(
    messages: Messages, *, idempotency_key: str | None = None, **options: Unpack[RequestOptions]
) -> Generation:
    """Save a generation, which a worker sends; returns at once.

    `messages` is a string, or a list in the remote's form. A media part takes `data` (base64
    text, bytes, a `pathlib.Path` or a Django file) or `media` (the id of a stored image or video).
    `options` are those of `RequestOptions`.

    Raises: RequestError, and then nothing was saved or sent. Its code is `idempotency_conflict`
    if the key was used for another request.
    """
    return submit_intake(accept_request(messages, **options), idempotency_key=idempotency_key)


def submit_intake(
    intake: Intake,
    *,
    idempotency_key: str | None = None,
    retry_of: Generation | None = None,
    link: Link | None = None,
) -> Generation:
    """Save a checked request, which a worker sends; `link` as for `save_intent`."""
    now = clock.now()
    generation, is_new = save_intent(
        intake,
        mode=Mode.ASYNC,
        now=now,
        due_at=now + TAKEN_WITHIN,
        idempotency_key=idempotency_key,
        retry_of=retry_of,
        link=link,
    )
    if is_new:
        enqueue.submit(generation.pk)
    return generation


def submit_many(
    requests: Iterable[Mapping[str, Any]], *, owner: Any = None, account: str = "default"
) -> list[Generation]:
    """Save many generations and request one sweep, which sends them a few at a time.

    Each request is a mapping of the arguments of `submit`, such as `{"messages": "Hello"}`.

    Raises: RequestError if a request is wrong, and then none was saved. Its `errors` name each
    wrong field as `requests[i].field`.
    """
    intakes: list[Intake] = []
    errors: dict[str, list[str]] = {}
    # All are checked before the first is saved, so that one error lists everything to correct.
    for index, request in enumerate(requests):
        try:
            arguments = check_arguments(request, owner=owner, account=account)
            intakes.append(accept_request(**arguments))
        except RequestError as error:
            place = f"requests[{index}]"
            for path, rules in error.errors.items():
                errors[f"{place}.{path}" if path else place] = rules
    if errors:
        raise RequestError(f"Nothing was saved. {summary(errors)}", errors=errors)
    now = clock.now()
    # Due at once: sweeps send them in batches, without a message in the broker for each row.
    generations = save_intents(intakes, now=now, due_at=now)
    if generations:
        sweep_schedule.request_sweep()
    return generations


def retry(
    generation: Generation, *, owner: Any = None, idempotency_key: str | None = None
) -> Generation:
    """Make a new asynchronous generation from the same request; it spends credits.

    It belongs to `owner`, by default to the owner of the first generation. If the first failed
    because a function call lacked a field, the calls go as text (the setting `CALLS_AS_TEXT`).

    Raises: TransitionError with code `not_finished` while the first may still get its result;
    RequestError if the request is no longer valid, for example because its media were deleted.
    """
    intake = _accept_again(generation, owner=owner)
    return submit_intake(intake, idempotency_key=idempotency_key, retry_of=generation)


def retry_linked(generation: Generation, *, link: Link) -> Generation:
    """As `retry`; `link` is called in the transaction that saves the new generation."""
    return submit_intake(_accept_again(generation), retry_of=generation, link=link)


def _accept_again(generation: Generation, *, owner: Any = None) -> Intake:
    expect_generation(generation)
    if generation.content_removed_at is not None:
        raise RequestError(
            _("Generation %(id)s cannot be asked again: its content was removed.")
            % {"id": generation.pk},
            code="content_removed",
        )
    if not generation.can_retry:
        text = _(
            "Generation %(id)s is %(status)s: wait until it has ended, or cancel it while it is "
            "queued."
        )
        values = {"id": generation.pk, "status": generation.status}
        raise TransitionError(text % values, code="not_finished")
    content = generation.content
    # Checked like a new request: the site's rules and the stored media may have changed since.
    request = content.request_fields()
    if conf.calls_as_text and generation.error_code in CALL_REFUSALS:
        request["messages"] = as_text(content.messages)
    return accept_request(
        **request,
        model_name=generation.model_name,
        owner=owner or generation.owner,
        account=generation.account,
        metadata=generation.metadata,
        store_content=generation.keeps_content,
    )


def send_generation(generation_id: uuid.UUID) -> None:
    """Send a generation if it is still queued. A worker's task; may be called twice."""
    # A queued row that a delivery has named may have been accepted before. It is left to the
    # sweep, which asks the remote about that id first.
    queued = Generation.objects.filter(
        pk=generation_id, status=Status.QUEUED, unverified_remote_id=""
    )
    generation = with_obstacles(queued, now=clock.now()).select_related("content").first()
    if generation is None:
        return
    # If nothing was accepted, only the row says when it is due. A time that is past makes
    # `request_sweep_by` read it.
    due_at = now = clock.now()
    send = begin_send(generation)
    if send is not None and settle_send(send, call_quietly(send)):
        # Not the row's own time: then about every second send would have to move the sweep.
        due_at = snapshots.latest_poll_at(generation, now=now)
    sweep_schedule.request_sweep_by(due_at, now=clock.now())
