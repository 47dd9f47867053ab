"""Reads a stream's answer that is plain JSON: a generation as a create returns it, or its chunks.

The contract promises events (section 6.1), but a gateway that cannot stream may collect them, and
an API whose streaming is switched off may answer as its create does. The request was accepted all
the same. So the answer is written as events, and read as any other stream. Pure.
Invariant: what is not such an answer passes unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from creatify_textgen.exceptions import ContractError, RemoteError
from creatify_textgen.remote import wire
from creatify_textgen.remote.acceptance import accepted_id
from creatify_textgen.remote.contract import RemoteGeneration
from creatify_textgen.remote.media_echo import without_media
from creatify_textgen.remote.protocol import parse_generation

__all__ = ["PlainAnswer"]

_MARK = b"\xef\xbb\xbf"
_OPENING = (b"{", b"[")
_BLANK_LINES = (b"\n\n", b"\r\n\r\n", b"\r\r")
_IN_CHUNKS = frozenset(["candidates", "creatify"])
PIECE = 64 * 1024
"""Characters of text in one event, far below the largest event that is read."""


class PlainAnswer:
    """Holds a body back that begins as JSON, until it is known whether it is events."""

    def __init__(self, *, cap: int) -> None:
        """`cap` is the most bytes that are held back, without echoed media."""
        self._cap = cap
        self.accepted_as = ""
        """The id of the generation that a body names which cannot be read as one; else empty."""

    def as_events(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the body as events. Raises: the error that `blocks` raises, after that."""
        rest = iter(blocks)
        begin = b""
        for block in rest:
            begin += block
            if begin.removeprefix(_MARK).strip():
                break
        if begin.removeprefix(_MARK).lstrip().startswith(_OPENING):
            yield from self._held_back(without_media(chain([begin], rest)))
        else:
            yield from chain([begin], rest)

    def _held_back(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        held = bytearray()
        failure: RemoteError | None = None
        try:
            for block in blocks:
                seen = max(len(held) - 3, 0)
                held += block
                # No JSON text has a blank line, so this is an error before events (section 6.6).
                is_event = any(held.find(blank, seen) >= 0 for blank in _BLANK_LINES)
                if is_event or len(held) > self._cap:
                    yield bytes(held)
                    yield from blocks
                    return
        except RemoteError as error:
            failure = error
        yield from self._read(bytes(held))
        if failure is not None:
            raise failure

    def _read(self, body: bytes) -> Iterator[bytes]:
        chunks = _chunks_in(body)
        if chunks is None:
            # An error that names a generation which was accepted is no reason to give that up.
            self.accepted_as = accepted_id(body, {}, url="")
            if not self.accepted_as:
                yield body
        for chunk in chunks or ():
            yield f"data: {json.dumps(chunk, default=wire.plain)}\n\n".encode()


def _chunks_in(body: bytes) -> list[dict[str, Any]] | None:
    """Return the chunks of an answer; None if it is neither a generation nor chunks."""
    try:
        value = wire.load(body)
        # Gemini's API writes a list of its chunks for a client that does not ask for events.
        found = wire.objects(value) if isinstance(value, list) else [wire.mapping(value)]
        if any(_IN_CHUNKS.intersection(fields) for fields in found):
            return [*map(dict, found)]
        return [*_chunks_of(parse_generation(found[0]))] if len(found) == 1 else None
    except (ValueError, ContractError):
        return None


def _chunks_of(found: RemoteGeneration) -> Iterator[dict[str, Any]]:
    """Yield a generation as the chunks that a stream of it would have."""
    receipt = {"id": found.id_in_urls, "credits_used": found.credits_used}
    if found.status == "failed":
        yield {"error": {"message": found.failed_reason}, "creatify": receipt}
    elif found.status == "done":
        text = found.response_text
        for start in range(0, len(text), PIECE):
            yield _chunk([{"text": text[start : start + PIECE]}])
        calls = [_part(call) for call in found.response_function_calls]
        yield _chunk(calls, finishReason="STOP") | {"creatify": receipt}
    else:
        # Without its cost: what is not finished has an id, and no receipt.
        yield _chunk([]) | {"creatify": {"id": found.id_in_urls}}


def _chunk(parts: list[dict[str, Any]], **candidate: str) -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": parts}, **candidate}]}


def _part(call: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: value for name, value in call.items() if name != "thought_signature"}
    signature = call.get("thought_signature")
    return {"functionCall": known} | ({"thoughtSignature": signature} if signature else {})
