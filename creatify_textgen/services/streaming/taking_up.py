"""From a waiting row to a send with its lease; whoever waits for the first frame waits for this.

Invariant: readers are told of a stream that nobody will send.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.models import QuerySet
from django.utils import timezone

from creatify_textgen import lifecycle
from creatify_textgen.hub import START, get_hub
from creatify_textgen.models import CompiledQuery, Generation, GenerationContent
from creatify_textgen.services import circuit
from creatify_textgen.services.sending import Send, prepare_send
from creatify_textgen.services.streaming import rows
from creatify_textgen.services.streaming.endings import ending, rest
from creatify_textgen.states import Cause, Mode, Status

__all__ = ["call_off", "take_up"]

UNSENDABLE = "The site's settings or storage do not let it be sent; nothing was sent."

# What a send reads; the result's columns would be loaded for nothing. In the order of the models'
# fields, as `from_db` wants them.
_ROW = ("id", "account", "mode", "status", "model_name", "hinted_remote_id", "attempts")
_CONTENT = ("messages", "system_instruction", "config", "tools", "tool_config")
_CIRCUIT = "circuit_open_until"


def take_up(generation_id: uuid.UUID) -> Send | None:
    """Return the send of a stream that waits, its lease taken; None where there is none."""
    found = _waiting.first(generation_id)
    if found is None:
        return None
    generation = _generation_of(found)
    now = timezone.now()
    if not circuit.may_send(generation.account, open_until=found[_CIRCUIT], now=now):
        message = "The remote is down, and nothing was sent; try again in a while."
        wait = (found[_CIRCUIT] - now).total_seconds() if found[_CIRCUIT] else 0
        call_off(generation, "remote_unavailable", message, retry_after=max(wait, 1))
        return None
    send = prepare_send(generation, now=now)
    if send is None:
        _tell_why_not(generation)
    return send


def call_off(
    generation: Generation, code: str, message: str, *, retry_after: float | None = None
) -> None:
    """Cancel what was not sent, and tell its readers why."""
    won = lifecycle.mark_cancelled(
        generation.pk, cause=Cause.STREAM, now=timezone.now(), detail=message
    )
    if won:
        row = rows.load(generation.pk)
        frames = ending(row, START, code=code, message=message, retry_after=retry_after)
        get_hub().publish(str(row.pk), frames)


def _tell_why_not(generation: Generation) -> None:
    """Tell readers of a request that could not be made; a lost race is no matter of ours."""
    row = rows.load(generation.pk)
    if row.status == Status.FAILED:
        get_hub().publish(str(row.pk), rest(row, START))
    elif row.status == Status.QUEUED:
        call_off(row, "not_configured", UNSENDABLE)


def _query(generation_id: uuid.UUID) -> QuerySet[Generation, dict[str, Any]]:
    waiting = Generation.objects.filter(pk=generation_id, mode=Mode.STREAM, status=Status.QUEUED)
    known = circuit.with_open_until(waiting, name=_CIRCUIT)
    named: QuerySet[Generation, dict[str, Any]]
    named = known.values(*_ROW, *(f"content__{name}" for name in _CONTENT), _CIRCUIT)
    return named


_waiting = CompiledQuery(_query)


def _generation_of(found: dict[str, Any]) -> Generation:
    content = [found[f"content__{name}"] for name in _CONTENT]
    generation = Generation.from_db(DEFAULT_DB_ALIAS, _ROW, [found[name] for name in _ROW])
    generation.content = GenerationContent.from_db(
        DEFAULT_DB_ALIAS, ("generation_id", *_CONTENT), [generation.pk, *content]
    )
    return generation
