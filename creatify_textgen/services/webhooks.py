"""A delivery, from its bytes to a row that is due.

Invariant: a right token costs one statement at most, a wrong one none, and neither a call of the
remote.
"""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.utils import timezone

from creatify_textgen import lifecycle
from creatify_textgen.conf import conf
from creatify_textgen.exceptions import TransitionError, WebhookError
from creatify_textgen.models import Generation
from creatify_textgen.remote import RemoteGeneration, parse_webhook
from creatify_textgen.services import alarm
from creatify_textgen.services.callbacks import is_valid_token
from creatify_textgen.services.finished import FinishedRows
from creatify_textgen.services.snapshots import Sighting, apply_sighting
from creatify_textgen.signals import webhook_rejected
from creatify_textgen.states import Cause

__all__ = ["receive_delivery"]

SECOND = timedelta(seconds=1)

_finished = FinishedRows()


def receive_delivery(generation_id: uuid.UUID, *, token: str, body: bytes) -> None:
    """Take in what the remote posted to a generation's webhook URL.

    It is a hint: the row comes due and a sweep asks the remote. Any order and any number of
    deliveries end in the same state. With `CONFIRM_WEBHOOKS` off the body itself is believed.

    Raises: WebhookError with code `bad_token` or `malformed_delivery`.
    """
    if not is_valid_token(generation_id, token):
        raise _rejected("bad_token", "The webhook's token is wrong.")
    del token  # Where something fails below, this frame's variables are reported.
    try:
        remote = parse_webhook(body)
    except WebhookError as error:
        raise _rejected("malformed_delivery", str(error)) from error
    if generation_id in _finished:
        return
    take_in = _note if conf.confirm_webhooks else _believe
    if not take_in(generation_id, remote):
        _finished.add(generation_id)


def _note(generation_id: uuid.UUID, remote: RemoteGeneration) -> bool:
    """Make the row due; False where it is final, or gone."""
    now = timezone.now()
    is_open = lifecycle.note_delivery(
        generation_id,
        remote.id,
        now=now,
        second_ago=now - SECOND,
        second_later=now + SECOND,
    )
    if is_open:
        alarm.wake()
    return is_open


def _believe(generation_id: uuid.UUID, remote: RemoteGeneration) -> bool:
    """Move the row to where the body says it is; False where it was final before."""
    generation = Generation.objects.filter(pk=generation_id).first()
    if generation is None:
        return True  # A host's replica may not have it yet.
    if generation.is_final:
        return False
    if generation.remote_id not in (None, remote.id):
        raise _rejected("malformed_delivery", "The delivery names another generation.")
    try:
        apply_sighting(Sighting(generation, remote), cause=Cause.WEBHOOK, now=timezone.now())
    except TransitionError:
        return _note(generation_id, remote)
    return True


def _rejected(code: str, message: str) -> WebhookError:
    webhook_rejected.send_robust(sender=Generation, generation=None, reason=code)
    return WebhookError(message, code=code)
