"""Receives a delivery: from its bytes to a row that is due.

Invariant: no delivery calls the remote. One with a wrong token costs no statement. One with a right
token costs an UPDATE of its row, and a few times a second one that schedules the sweep.
"""

from __future__ import annotations

import uuid
from datetime import timedelta

from creatify_textgen import clock, gateway, lifecycle
from creatify_textgen.conf import conf
from creatify_textgen.dispatch import sweep_schedule
from creatify_textgen.dispatch.callbacks import is_valid_token, webhook_url
from creatify_textgen.dispatch.final_row_cache import FinalRowCache
from creatify_textgen.dispatch.snapshots import Snapshot, apply_snapshot
from creatify_textgen.exceptions import WebhookError
from creatify_textgen.logs import WEBHOOKS, warn_of
from creatify_textgen.models import Generation
from creatify_textgen.recovery.workload import note_refused_delivery
from creatify_textgen.remote import RemoteGeneration, parse_webhook
from creatify_textgen.remote_ids import is_uuid
from creatify_textgen.signals import webhook_rejected
from creatify_textgen.states import Cause

__all__ = ["receive_delivery"]

SECOND = timedelta(seconds=1)
"""The shortest time between two polls of one row, however many deliveries arrive for it."""

_finished = FinalRowCache()


def receive_delivery(generation_id: uuid.UUID, *, token: str, body: bytes) -> None:
    """Process what the remote posted to a generation's webhook URL.

    The body is not trusted: the row becomes due, and a sweep asks the remote. Any order and any
    number of deliveries end in the same state. If `CONFIRM_WEBHOOKS` is off, the body is trusted.

    Raises: WebhookError with code `bad_token` or `malformed_delivery`.
    """
    # Before the body is parsed: without the token a stranger causes one HMAC and nothing else.
    if not is_valid_token(generation_id, token):
        raise _rejected("bad_token", "The webhook's token is wrong.")
    del token  # An error report shows the variables of this frame.
    # Only now: without a token, nobody can have this process parse ten megabytes.
    try:
        remote = parse_webhook(body)
    except WebhookError as error:
        raise _rejected("malformed_delivery", str(error)) from error
    # The remote may deliver again and again (contract, 5: retries are not published).
    if generation_id in _finished:
        return
    process = _make_due if conf.confirm_webhooks else _apply
    if not process(generation_id, remote):
        _finished.add(generation_id)


def _make_due(generation_id: uuid.UUID, remote: RemoteGeneration) -> bool:
    """Make the row due. Return False if it is final or was deleted.

    A remote id of a wrong form is not kept: a row that waits to be sent would wait in vain for
    the remote to confirm it.
    """
    now = clock.now()
    is_open = lifecycle.note_delivery(
        generation_id,
        remote.id_in_urls if is_uuid(remote.id) else "",
        now=now,
        second_ago=now - SECOND,
        second_later=now + SECOND,
    )
    if is_open:
        sweep_schedule.request_sweep()
    return is_open


def _apply(generation_id: uuid.UUID, remote: RemoteGeneration) -> bool:
    """Write what the body says on the row. Return False if it was final before or was deleted."""
    generation = Generation.objects.filter(pk=generation_id).first()
    if generation is None or generation.is_final:
        return False
    # A body does not repeat the request (contract, 5), so nothing here shows that it is about this
    # row. The sweep fetches the generation, and compares what it was asked.
    if generation.remote_id is None:
        return _make_due(generation_id, remote)
    if generation.remote_id != remote.id:
        raise _rejected("malformed_delivery", "The delivery names another generation.")
    # The answer may quote the webhook URL, whose token must not be stored.
    clean = gateway.without_secrets(generation.account, remote, webhook_url=webhook_url(generation))
    apply_snapshot(Snapshot(generation, clean), cause=Cause.WEBHOOK, now=clock.now())
    return True


def _rejected(code: str, message: str) -> WebhookError:
    warn_of(("webhook", code), WEBHOOKS, "A delivery was refused: %s (%s)", message, code)
    note_refused_delivery()
    # Robust, so that a failing receiver makes no 500 of a refusal. Without the generation, because
    # a stranger without a token chooses the id in the URL.
    webhook_rejected.send_robust(sender=Generation, generation=None, reason=code)
    return WebhookError(message, code=code)
