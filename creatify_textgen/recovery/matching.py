"""Whether a generation in the remote's list may belong to a row.

Pure, except that a row's content is read when it is first needed. Requests are distinguished by
fingerprint, media and time, and streams of equal requests by the received text. Invariant: a
text is never continued with an answer that may belong to another row.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from creatify_textgen import clock
from creatify_textgen.dispatch.snapshots import Snapshot
from creatify_textgen.intake import fingerprint, fingerprints, media_digests, texts_digest
from creatify_textgen.models import Generation
from creatify_textgen.recovery.evidence import EARLIER, LATER, Skew
from creatify_textgen.remote import RemoteGeneration
from creatify_textgen.states import TERMINAL, Mode, Status

__all__ = [
    "as_received",
    "asks_the_same",
    "distance",
    "earliest",
    "fingerprint_of",
    "fingerprints_of",
    "fits",
    "goes_on_from",
    "is_of_its_time",
    "latest",
    "may_become",
    "sent_at",
    "sent_window",
    "shows_its_media",
    "texts_of",
    "texts_of_row",
]

NO_SKEW = Skew()


def fingerprint_of(remote: RemoteGeneration) -> str:
    """Return the fingerprint of the request that the remote reports."""
    return fingerprint(
        remote.model_name, remote.messages or [], remote.system_instruction, remote.config
    )


def fingerprints_of(remote: RemoteGeneration) -> tuple[str, ...]:
    """Return the same, then its fingerprints under keys that were rotated out."""
    return fingerprints(
        remote.model_name, remote.messages or [], remote.system_instruction, remote.config
    )


def texts_of(remote: RemoteGeneration) -> str:
    """Return a hash of the texts alone, which survives defaults and renamed models."""
    return texts_digest(remote.messages or [], remote.system_instruction)


def texts_of_row(generation: Generation) -> str:
    """Return the same for a row; reads its content."""
    return texts_digest(generation.content.messages, generation.content.system_instruction)


def asks_the_same(generation: Generation, remote: RemoteGeneration) -> bool:
    """Whether a generation that was named as this row's has the row's request.

    If the remote reports no request, nothing contradicts it. An empty list is no request, because
    none is sent without messages.
    """
    return not remote.messages or generation.fingerprint in fingerprints_of(remote)


def fits(generation: Generation, remote: RemoteGeneration, skew: Skew = NO_SKEW) -> bool:
    return _was_asked_as(generation, remote, skew) and goes_on_from(generation, remote)


def may_become(generation: Generation, remote: RemoteGeneration, skew: Skew = NO_SKEW) -> bool:
    """Whether this may be a cut stream's generation, whose text is not reported yet."""
    return (
        generation.mode == Mode.STREAM
        and Snapshot(generation, remote).target not in TERMINAL
        and generation.fingerprint in fingerprints_of(remote)
        and _was_asked_as(generation, remote, skew)
    )


def distance(generation: Generation, remote: RemoteGeneration) -> timedelta:
    if remote.created_at is None:
        return timedelta.max  # The last choice.
    created_at = remote.created_at
    # The generation of a row that was sent twice may come from either send.
    sends = [generation.submitted_at or generation.created_at, generation.first_submitted_at]
    return min(abs(created_at - earliest(sent)) for sent in sends if sent is not None)


def as_received(generation: Generation, remote: RemoteGeneration) -> RemoteGeneration:
    """Return the remote's object, its text beginning exactly as readers have received it."""
    if generation.mode != Mode.STREAM:
        return remote
    received = generation.content.response_text
    rest = _rest(received, remote.response_text)
    return remote if rest is None else replace(remote, response_text=received + rest)


def sent_at(generation: Generation) -> datetime:
    return earliest(generation.submitted_at or generation.created_at)


def sent_window(generation: Generation) -> tuple[datetime, datetime]:
    """Return from when until when, by our clock, the remote may have created this generation."""
    # A row whose sends were all refused has no first send (`mark_queued`).
    last = generation.submitted_at or generation.created_at
    first, until = generation.first_submitted_at or last, generation.sent_until or last
    return earliest(first) - EARLIER, latest(until) + LATER


def is_of_its_time(generation: Generation, remote: RemoteGeneration, skew: Skew = NO_SKEW) -> bool:
    """Whether the times allow that a send of the row created this; yes if a time is unknown."""
    if remote.created_at is None:
        return True
    begins, ends = skew.widen(*sent_window(generation))
    return begins <= remote.created_at <= ends


def earliest(moment: datetime) -> datetime:
    """Return the first moment in UTC that a stored time may stand for."""
    return clock.as_utc_range(moment)[0]


def latest(moment: datetime) -> datetime:
    """Return the last moment in UTC that a stored time may stand for."""
    return clock.as_utc_range(moment)[1]


def _was_asked_as(generation: Generation, remote: RemoteGeneration, skew: Skew) -> bool:
    return shows_its_media(generation, remote) and is_of_its_time(generation, remote, skew)


def shows_its_media(generation: Generation, remote: RemoteGeneration) -> bool:
    """Whether the images and videos that the remote reports, if it does, are the row's."""
    # It is unknown whether the remote returns the bytes of media (contract, 11.16), and it may have
    # removed only some of them: a digest of None contradicts nothing.
    listed = media_digests(remote.messages)
    if not any(listed):
        return True
    ours = media_digests(generation.content.messages)
    return len(ours) == len(listed) and all(
        theirs in (None, digest) for digest, theirs in zip(ours, listed, strict=True)
    )


def goes_on_from(generation: Generation, remote: RemoteGeneration) -> bool:
    """Whether an answer begins with the text that readers of the stream have received.

    The answers to two equal prompts differ. An end without a text fits, because it has none.
    """
    if generation.mode != Mode.STREAM or not generation.content.response_text:
        return True
    received, listed = generation.content.response_text, remote.response_text
    target = Snapshot(generation, remote).target
    # A failure may be listed with less text than was streamed before it.
    if target == Status.FAILED and received.startswith(listed):
        return True
    return _rest(received, listed) is not None


def _rest(received: str, whole: str) -> str | None:
    """Return what follows the received text, or None if this does not begin with it.

    White space is ignored, because the remote may have removed some.
    """
    if whole.startswith(received):
        return whole[len(received) :]
    # In one pass, because both texts may have a million characters.
    at = 0
    for character in "".join(received.split()):
        while whole[at : at + 1].isspace():
            at += 1
        if whole[at : at + 1] != character:
            return None
        at += 1
    # White space at the end of the received text stands for that which follows here.
    return whole[at:].lstrip() if received[-1:].isspace() else whole[at:]
