"""Saves a request as a row before anything is sent.

Invariant: one owner's idempotency key belongs to one row, even if two requests arrive at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import IntegrityError
from django.utils.translation import gettext as _

from creatify_textgen import clock, control, lifecycle
from creatify_textgen.dispatch.balance import pause_if_low
from creatify_textgen.exceptions import PolicyRefusal, RequestError
from creatify_textgen.intake import Intake, accept, check_options, key_digest, sealed
from creatify_textgen.intake.staging import StagedMedia
from creatify_textgen.models import Generation, GenerationContent, Media
from creatify_textgen.remote import traceparent
from creatify_textgen.states import Mode

__all__ = ["IDEMPOTENCY_LIFETIME", "Link", "accept_request", "save_intent", "save_intents"]

Link = Callable[[Generation], object]

IDEMPOTENCY_LIFETIME = timedelta(hours=24)
"""How long a key belongs to its generation."""


def accept_request(*messages: Any, **fields: Any) -> Intake:
    """Check a request as `intake.accept` does, and ask before its new media are stored.

    Raises: RequestError, PolicyRefusal, or TypeError for an unknown option, and then nothing was
    stored.
    """
    check_options(fields)

    def admit(owner: Any, staged: Sequence[StagedMedia]) -> AbstractContextManager[None]:
        return control.admitted_uploads(owner, staged, now=clock.now())

    return accept(*messages, **fields, admit=admit)


def save_intent(
    intake: Intake,
    *,
    mode: Mode,
    now: datetime,
    due_at: datetime,
    idempotency_key: str | None = None,
    retry_of: Generation | None = None,
    link: Link | None = None,
) -> tuple[Generation, bool]:
    """Save a generation as `queued` and return it, and whether it is new.

    `link` is called with a new generation in the transaction that saves it, to save rows that
    refer to it: either all of them are saved or none. Its errors are raised.

    Raises: RequestError with code `idempotency_conflict` if the key was used for another
    request; PolicyRefusal if a new one is not allowed.
    """
    generation, content = _rows(intake, mode=mode, now=now, due_at=due_at)
    generation.retry_of = retry_of
    # If the first of three with one key is rolled back, MariaDB has the other two deadlock.
    insert = partial(_insert, generation, content, intake, link=link)
    if idempotency_key is None:
        lifecycle.repeated(insert)
        return generation, True
    generation.idempotency_key = key_digest(idempotency_key, scope=str(generation.owner_id))
    # One hash for each of the site's secret keys, so a key that was rotated out still matches.
    hashes = _request_hashes(intake, mode)
    generation.idempotency_hash = hashes[0]
    if repeated := _find(generation, hashes=hashes, now=now):
        return repeated, False
    try:
        lifecycle.repeated(insert)
    except (IntegrityError, PolicyRefusal):
        # Two requests with one key found no row; the unique column lets only one of them insert.
        # A faster request with the same key may have reached a limit.
        if repeated := _find(generation, hashes=hashes, now=now):
            return repeated, False
        raise
    return generation, True


def save_intents(intakes: Sequence[Intake], *, now: datetime, due_at: datetime) -> list[Generation]:
    """Save many asynchronous intents in one transaction.

    Raises: PolicyRefusal if one of them is not allowed, and then none was saved.
    """
    rows = [_rows(intake, mode=Mode.ASYNC, now=now, due_at=due_at) for intake in intakes]
    lifecycle.repeated(partial(_insert_many, intakes, rows, now=now))
    return [generation for generation, _ in rows]


def _insert_many(
    intakes: Sequence[Intake],
    rows: Sequence[tuple[Generation, GenerationContent]],
    *,
    now: datetime,
) -> None:
    generations = [generation for generation, _ in rows]
    links = Generation.media.through
    with control.admitted(intakes, generations, mode=Mode.ASYNC, now=now):
        # In this order, because contents and links refer to the rows.
        Generation.objects.bulk_create(generations, batch_size=1000)
        GenerationContent.objects.bulk_create((content for _, content in rows), batch_size=1000)
        _take_media(intakes)
        links.objects.bulk_create(
            links(generation_id=generation.pk, media_id=media_id)
            for generation, intake in zip(generations, intakes, strict=True)
            for media_id in {media.pk for media in intake.media}
        )


def _rows(
    intake: Intake, *, mode: Mode, now: datetime, due_at: datetime
) -> tuple[Generation, GenerationContent]:
    generation = Generation(
        account=intake.account,
        owner_id=intake.owner_id,
        mode=mode,
        model_name=intake.model_name,
        excerpt=intake.excerpt if intake.store_content else "",
        keeps_content=intake.store_content,
        fingerprint=intake.fingerprint,
        metadata=intake.metadata,
        traceparent=traceparent(),
        due_at=due_at,
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
        extra=intake.extra,
    )
    return generation, content


def _insert(
    generation: Generation, content: GenerationContent, intake: Intake, *, link: Link | None = None
) -> None:
    mode, now = Mode(generation.mode), generation.created_at
    is_retry = generation.retry_of_id is not None
    if mode != Mode.ASYNC:
        # A caller waits for the answer, so refuse it now. An asynchronous request can wait.
        pause_if_low(generation.account, now=now)
    with control.admitted([intake], [generation], mode=mode, now=now, is_retry=is_retry):
        generation.save(force_insert=True)
        content.save(force_insert=True)
        if intake.media:
            _take_media([intake])
            generation.media.set(intake.media)
        if link is not None:
            link(generation)


def _take_media(intakes: Iterable[Intake]) -> None:
    """Lock the media of a request, so that no other process gives them up now.

    Raises: RequestError if another process has just given one up.
    """
    ids = {media.pk for intake in intakes for media in intake.media}
    if not ids:
        return
    # The UPDATE changes nothing and locks: `discard_media` locks the same rows before it counts
    # their links.
    kept = Media.objects.filter(pk__in=ids, discarded_at=None)
    if kept.update(discarded_at=None) < len(ids):
        raise RequestError(
            _("An image or video of this request was just deleted: upload it again."),
            code="media_missing",
        )


def _find(wanted: Generation, *, hashes: Collection[str], now: datetime) -> Generation | None:
    holder = Generation.objects.filter(idempotency_key=wanted.idempotency_key)
    found = holder.select_related("content").first()
    if found is None:
        return None
    if clock.after(found.created_at, IDEMPOTENCY_LIFETIME.total_seconds()) < now:
        # The key leaves the old row, because the column is unique.
        holder.filter(pk=found.pk).update(idempotency_key=None)
        return None
    if found.idempotency_hash not in hashes:
        raise RequestError(
            _(
                "This Idempotency-Key was used for another request: use a new key for a new "
                "request."
            ),
            code="idempotency_conflict",
        )
    return found


def _request_hashes(intake: Intake, mode: Mode) -> tuple[str, ...]:
    # With the mode: a stream does not answer a request that waits for one answer.
    return sealed(f"{mode}\x1f{intake.request_hash}")
