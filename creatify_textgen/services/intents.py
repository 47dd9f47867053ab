"""Saves what somebody wants generated, before anything is sent.

Invariant: one intent for one idempotency key of one owner, whoever races.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction

from creatify_textgen.exceptions import RequestError
from creatify_textgen.models import Generation, GenerationContent
from creatify_textgen.services.intake import Intake
from creatify_textgen.states import Mode

__all__ = ["IDEMPOTENCY_LIFETIME", "find_repeated", "save_intent", "save_intents"]

IDEMPOTENCY_LIFETIME = timedelta(hours=24)
"""How long a key stands for its generation."""
LONGEST_KEY = 255


def save_intent(
    intake: Intake,
    *,
    mode: Mode,
    now: datetime,
    next_check_at: datetime,
    idempotency_key: str | None = None,
    retry_of: Generation | None = None,
) -> tuple[Generation, bool]:
    """Save a generation as `queued` and return it, and whether it is new.

    Raises: RequestError with code `idempotency_conflict` where the key stands for another
    request.
    """
    generation, content = _rows(intake, mode=mode, now=now, next_check_at=next_check_at)
    generation.retry_of = retry_of
    if idempotency_key is None:
        _insert(generation, content, intake)
        return generation, True
    generation.idempotency_key = _digest(generation.owner_id, idempotency_key)
    generation.idempotency_hash = _request_hash(intake, mode)
    if repeated := _find(generation, now=now):
        return repeated, False
    try:
        _insert(generation, content, intake)
    except IntegrityError:
        if repeated := _find(generation, now=now):
            return repeated, False
        raise
    return generation, True


def save_intents(
    intakes: Sequence[Intake], *, now: datetime, next_check_at: datetime
) -> list[Generation]:
    """Save many asynchronous intents in one transaction."""
    rows = [
        _rows(intake, mode=Mode.ASYNC, now=now, next_check_at=next_check_at) for intake in intakes
    ]
    generations = [generation for generation, _ in rows]
    links = Generation.media.through
    with transaction.atomic():
        Generation.objects.bulk_create(generations, batch_size=1000)
        GenerationContent.objects.bulk_create((content for _, content in rows), batch_size=1000)
        links.objects.bulk_create(
            links(generation_id=generation.pk, media_id=media_id)
            for generation, intake in zip(generations, intakes, strict=True)
            for media_id in {media.pk for media in intake.media}
        )
    return generations


def find_repeated(intake: Intake, *, mode: Mode, key: str, now: datetime) -> Generation | None:
    """Return the generation that this key stands for already, if it does.

    Raises: RequestError with code `idempotency_conflict` where the request differs.
    """
    probe = Generation(
        idempotency_key=_digest(intake.owner_id, key),
        idempotency_hash=_request_hash(intake, mode),
    )
    return _find(probe, now=now)


def _rows(
    intake: Intake, *, mode: Mode, now: datetime, next_check_at: datetime
) -> tuple[Generation, GenerationContent]:
    generation = Generation(
        account=intake.account,
        owner_id=intake.owner_id,
        mode=mode,
        model_name=intake.model_name,
        excerpt=intake.excerpt,
        fingerprint=intake.fingerprint,
        metadata=intake.metadata,
        next_check_at=next_check_at,
        created_at=now,
        updated_at=now,
    )
    content = GenerationContent(
        generation=generation,
        messages=intake.messages,
        system_instruction=intake.system_instruction,
        config=intake.config,
        tools=intake.tools,
        tool_config=intake.tool_config,
    )
    return generation, content


def _insert(generation: Generation, content: GenerationContent, intake: Intake) -> None:
    with transaction.atomic():
        generation.save(force_insert=True)
        content.save(force_insert=True)
        if intake.media:
            generation.media.set(intake.media)


def _find(wanted: Generation, *, now: datetime) -> Generation | None:
    holder = Generation.objects.filter(idempotency_key=wanted.idempotency_key)
    found = holder.select_related("content").first()
    if found is None:
        return None
    if found.created_at < now - IDEMPOTENCY_LIFETIME:
        holder.filter(pk=found.pk).update(idempotency_key=None)
        return None
    if found.idempotency_hash != wanted.idempotency_hash:
        raise RequestError(
            "This Idempotency-Key was used for another request: use a new key for a new request.",
            code="idempotency_conflict",
        )
    return found


def _digest(owner_id: Any, key: str) -> str:
    if not isinstance(key, str) or not key.isprintable() or not 0 < len(key) <= LONGEST_KEY:
        text = f"must be 1 to {LONGEST_KEY} printable characters"
        raise RequestError(f"Idempotency-Key {text}.", errors={"Idempotency-Key": [text]})
    return hashlib.sha256(f"{owner_id}\x1f{key}".encode()).hexdigest()


def _request_hash(intake: Intake, mode: Mode) -> str:
    return hashlib.sha256(f"{mode}\x1f{intake.request_hash}".encode()).hexdigest()
