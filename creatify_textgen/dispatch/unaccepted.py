"""What a send that was not accepted means for its row: sent again, failed, or doubted.

Invariant: only a send that the remote certainly did not accept is repeated.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from decimal import Decimal

from creatify_textgen import clock, control, lifecycle
from creatify_textgen.conf import conf
from creatify_textgen.dispatch import circuit
from creatify_textgen.dispatch.function_calls import as_text, has_calls, is_call_refusal
from creatify_textgen.exceptions import RemoteError, RequestError, TextgenError
from creatify_textgen.intake import fingerprint
from creatify_textgen.lifecycle import Outcome
from creatify_textgen.logs import SENDING
from creatify_textgen.models import Generation
from creatify_textgen.remote import decide
from creatify_textgen.states import Cause, Mode

__all__ = [
    "MAY_BE_CHARGED",
    "ask_as_text",
    "doubt_send",
    "fail_send",
    "is_out_of_time",
    "requeue",
    "settle_impossible",
    "settle_refusal",
]

# A row shows these words until its fate is known, so that nobody asks again and pays twice.
MAY_BE_CHARGED = "It may have been charged, and what it cost is unknown."
OUR_FAULT_RETRY = timedelta(seconds=60)
"""The time until the next try if the site's settings or storage prevent a send."""
FIRST_POLL_AFTER = timedelta(seconds=15)
"""From a send without an answer to the first poll: the remote may need time to list it."""


def settle_refusal(generation: Generation, error: RemoteError, *, now: datetime) -> None:
    """Queue the row again, fail it, or make it `unconfirmed`, as the error requires."""
    circuit.report(generation.account, [error], now=now)
    # First of all: whatever the status says, an error that names a generation was accepted.
    if error.accepted_as:
        doubt_send(generation, now=now, detail=_detail(error), words=error.explanation)
        lifecycle.note_acceptance(generation.pk, error.accepted_as, now=now)
        return
    if error.code == control.CREDITS_CODE:
        retry_at = control.pause_for_credits(generation.account, generation=generation, now=now)
        # A caller who waits gets the refusal now. Other requests wait until there are credits.
        if generation.mode == Mode.ASYNC:
            _send_again(generation, error, now=now, retry_at=retry_at)
            return
    # The pump asks again itself, because the readers of a stream wait (`pickup.claim_as_text`).
    if generation.mode != Mode.STREAM and ask_as_text(generation, error, now=now, retry_at=now):
        return
    decision = decide(error, generation.attempts, now=now, random=random.random)
    if decision.action == "retry":
        retry_at = now + timedelta(seconds=decision.after_seconds)
        _send_again(generation, error, now=now, retry_at=retry_at)
    elif decision.action == "unconfirmed":
        doubt_send(generation, now=now, detail=_detail(error), words=decision.message)
    else:
        fail_send(generation, code=decision.error_code, reason=decision.message, now=now)


def ask_as_text(
    generation: Generation, error: Exception, *, now: datetime, retry_at: datetime
) -> bool:
    """Queue a refused request again, its function calls as text; False if this does not help.

    Once in the row's life, and only if the remote refused it uncharged for a field of a call.
    """
    content = generation.content
    # Creatify's message has no field for a signature or the id of a call (contract, section 9).
    if generation.calls_as_text or not (conf.calls_as_text and is_call_refusal(error)):
        return False
    if not has_calls(content.messages):
        return False
    messages = as_text(content.messages)
    # The remote's list will show the texts, so the row must be found by them.
    hashed = fingerprint(
        generation.model_name, messages, content.system_instruction, content.config
    )
    generation.calls_as_text = lifecycle.mark_queued_as_text(
        generation, fingerprint=hashed, cause=Cause.SUBMIT, now=now, retry_at=retry_at
    )
    return generation.calls_as_text


def fail_send(generation: Generation, *, code: str, reason: str, now: datetime) -> None:
    """Fail a generation that the remote will never accept. It is free (contract, section 7)."""
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
        requeue(generation, now=now, retry_at=retry_at, detail=_detail(error))


def is_out_of_time(generation: Generation, *, now: datetime) -> bool:
    """Whether a request that was surely never accepted has waited for too long."""
    return now > clock.after(generation.created_at, conf.expire_after)


def settle_impossible(generation: Generation, error: Exception, *, now: datetime) -> None:
    """Fail a request that is wrong. Queue it again if only the settings or the storage are."""
    if isinstance(error, RequestError):
        fail_send(generation, code=error.code, reason=str(error), now=now)
        return
    # For the site's operators, who alone can mend it. The row can wait: it has cost nothing.
    SENDING.error("Generation %s cannot be sent: %s", generation.pk, error)
    detail = error.code if isinstance(error, TextgenError) else "not configured"
    requeue(generation, now=now, retry_at=now + OUR_FAULT_RETRY, detail=detail)


def requeue(generation: Generation, *, now: datetime, retry_at: datetime, detail: str) -> None:
    lifecycle.mark_queued(
        generation.pk,
        cause=Cause.SUBMIT,
        now=now,
        retry_at=retry_at,
        detail=detail,
        attempt=generation.attempts,
        # After a proof of absence the first send stays the start of the search: a proof from lists
        # is weaker than a refusal.
        never_accepted=not generation.resends,
    )


def doubt_send(generation: Generation, *, now: datetime, detail: str, words: str = "") -> None:
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
