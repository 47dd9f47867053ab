"""Whether a generation in the remote's list may be the one of a row. Pure but for lazy content.

Requests are told apart by their fingerprint, media and time, and the streams of equal requests by
what was heard of them. Invariant: what may be another's answer never continues a text.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from creatify_textgen.models import Generation
from creatify_textgen.remote import RemoteGeneration
from creatify_textgen.services.intake import fingerprint, media_digests
from creatify_textgen.services.snapshots import Sighting
from creatify_textgen.states import TERMINAL, Mode, Status

__all__ = [
    "EARLIER",
    "LATER",
    "as_heard",
    "distance",
    "fingerprint_of",
    "fits",
    "may_become",
    "sent_at",
]

EARLIER, LATER = timedelta(minutes=2), timedelta(minutes=10)
"""How far from our send the remote may have dated its creation: clocks differ, queues wait."""


def fingerprint_of(remote: RemoteGeneration) -> str:
    """Return the fingerprint of what the remote says it was asked."""
    return fingerprint(
        remote.model_name, remote.messages or [], remote.system_instruction, remote.config
    )


def fits(generation: Generation, remote: RemoteGeneration) -> bool:
    return _was_asked_as(generation, remote) and _goes_on_from(generation, remote)


def may_become(generation: Generation, remote: RemoteGeneration) -> bool:
    """Whether this may be a cut stream's generation, whose text is not told yet."""
    return (
        generation.mode == Mode.STREAM
        and Sighting(generation, remote).target not in TERMINAL
        and fingerprint_of(remote) == generation.fingerprint
        and _was_asked_as(generation, remote)
    )


def distance(generation: Generation, remote: RemoteGeneration) -> timedelta:
    if remote.created_at is None:
        return timedelta.max
    return abs(remote.created_at - sent_at(generation))


def as_heard(generation: Generation, remote: RemoteGeneration) -> RemoteGeneration:
    """Return it with the text that readers have heard, and their places in it, at its beginning."""
    if generation.mode != Mode.STREAM:
        return remote
    heard = generation.content.response_text
    rest = _rest(heard, remote.response_text)
    return remote if rest is None else replace(remote, response_text=heard + rest)


def sent_at(generation: Generation) -> datetime:
    moment = generation.submitted_at or generation.created_at
    if timezone.is_naive(moment):
        moment = timezone.make_aware(moment)
    return moment.astimezone(UTC)


def _was_asked_as(generation: Generation, remote: RemoteGeneration) -> bool:
    if not _shows_its_media(generation, remote):
        return False
    if remote.created_at is None:
        return True
    return sent_at(generation) - EARLIER <= remote.created_at <= sent_at(generation) + LATER


def _shows_its_media(generation: Generation, remote: RemoteGeneration) -> bool:
    """Whether the echoed images and videos are the row's, as far as the echo tells."""
    told = media_digests(remote.messages)
    if not any(told):
        return True
    ours = media_digests(generation.content.messages)
    return len(ours) == len(told) and all(
        theirs in (None, digest) for digest, theirs in zip(ours, told, strict=True)
    )


def _goes_on_from(generation: Generation, remote: RemoteGeneration) -> bool:
    """Whether an answer begins with what readers of the stream have heard already.

    The answers to two equal prompts differ. An end that tells no text fits: there is no better.
    """
    if generation.mode != Mode.STREAM or not generation.content.response_text:
        return True
    heard, told = generation.content.response_text, remote.response_text
    target = Sighting(generation, remote).target
    if target == Status.FAILED and heard.startswith(told):
        return True
    return _rest(heard, told) is not None


def _rest(heard: str, whole: str) -> str | None:
    """Return what follows the heard text, or None where this does not begin with it.

    White space does not count, which the remote may have trimmed.
    """
    if whole.startswith(heard):
        return whole[len(heard) :]
    at = 0
    for character in "".join(heard.split()):
        while whole[at : at + 1].isspace():
            at += 1
        if whole[at : at + 1] != character:
            return None
        at += 1
    return whole[at:].lstrip() if heard[-1:].isspace() else whole[at:]
