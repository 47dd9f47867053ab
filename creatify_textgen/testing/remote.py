"""The remote's client as a stub: the calls of `RemoteClient` without a socket."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Self, cast

from creatify_textgen.exceptions import RemoteRejectedError, StreamError
from creatify_textgen.remote import (
    Chunk,
    Credentials,
    GenerationRequest,
    Listing,
    Receipt,
    RemoteClient,
    RemoteGeneration,
    parse_chunk,
)
from creatify_textgen.remote.client import PreparedSend
from creatify_textgen.testing.answers import (
    BLOCKED,
    FAILED,
    INTERRUPTED,
    TRUNCATED,
    Answer,
    Asked,
    refusal_of,
)

__all__ = ["StubClient"]

REMAINING_CREDITS = Decimal(100)
# Port 80 of this machine: if a call was forgotten here, it fails instead of reaching Creatify.
_NOWHERE = Credentials("stub", "stub", "http://127.0.0.1")


@dataclass(frozen=True, slots=True)
class _Prepared(PreparedSend):
    # The stub answers the request itself. Of the body only the length is used, for the lease.
    request: GenerationRequest = field(kw_only=True, repr=False)


class StubClient(RemoteClient):
    """One workspace at a remote that answers at once; opens no connection."""

    def __init__(self, answer: Callable[[Asked], Answer]) -> None:
        super().__init__(_NOWHERE)
        self._answer = answer
        self._generations: dict[str, RemoteGeneration] = {}

    def prepare(self, request: GenerationRequest, *, stream: bool = False) -> PreparedSend:
        prepared = super().prepare(request, stream=stream)
        return _Prepared(
            prepared.body,
            prepared.seconds,
            prepared.wait,
            prepared.webhook_url,
            prepared.model_name,
            request=request,
        )

    def create(self, request: GenerationRequest | PreparedSend) -> RemoteGeneration:
        asked, answer = self._ask(request, is_stream=False)
        # Kept for `get` and `list`: a poll, or `reconcile`, must find what was answered.
        generation = _generation(asked, answer)
        self._generations[generation.id] = generation
        return generation

    def stream(self, request: GenerationRequest | PreparedSend) -> Any:
        asked, answer = self._ask(request, is_stream=True)
        return StubChunks(asked, answer)

    def get(self, remote_id: str) -> RemoteGeneration:
        if remote_id not in self._generations:
            raise RemoteRejectedError("404", status=404, code="not_found")
        return self._generations[remote_id]

    def list(
        self, keep: Callable[[RemoteGeneration], bool] = lambda _: True, *, seconds: float = 0
    ) -> Listing:
        found = [generation for generation in self._generations.values() if keep(generation)]
        return Listing(generations=found, total=len(self._generations), pages=1)

    def remaining_credits(self, *, seconds: float = 0) -> Decimal:
        return REMAINING_CREDITS

    def _ask(
        self, request: GenerationRequest | PreparedSend, *, is_stream: bool
    ) -> tuple[Asked, Answer]:
        wanted = request.request if isinstance(request, _Prepared) else request
        # A `PreparedSend` of another client cannot arrive here: `gateway` hands out this one alone.
        asked = Asked(cast("GenerationRequest", wanted), is_stream)
        answer = self._answer(asked)
        # Without a stream, an answer that breaks off is a POST whose fate is unknown.
        is_lost = answer.fault == INTERRUPTED and not is_stream
        refusal = refusal_of("timeout" if is_lost else answer.fault)
        if refusal:
            raise refusal
        return asked, answer


class StubChunks:
    """A stream that never waits for a chunk, with the interface of `ChunkStream`."""

    def __init__(self, asked: Asked, answer: Answer) -> None:
        self.before_wait: Callable[[], None] = lambda: None
        self.receipt: Receipt | None = None
        self._answer = answer
        self._asked = asked
        self._chunks = self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Chunk]:
        return self._chunks

    def close(self) -> None:
        """Nothing is open."""

    def _read(self) -> Iterator[Chunk]:
        asked = self._asked
        for chunk in self._answer.chunks(remote_id=asked.remote_id, model_name=asked.model_name):
            parsed = parse_chunk(json.dumps(chunk))
            self.receipt = parsed.receipt or self.receipt
            yield parsed
        # The pump publishes its last frames here, as before each wait for the socket.
        self.before_wait()
        if self._answer.fault == INTERRUPTED:
            raise StreamError("The stream broke off.")


def _generation(asked: Asked, answer: Answer) -> RemoteGeneration:
    has_failed = answer.fault in (FAILED, BLOCKED)
    half = len(answer.text) // 2 if answer.fault == TRUNCATED else None
    return RemoteGeneration(
        id=asked.remote_id,
        status="failed" if has_failed else "done",
        response_text="" if has_failed else answer.text[:half],
        response_function_calls=[] if has_failed else [dict(c) for c in answer.function_calls],
        failed_reason="The stub was set to fail." if has_failed else "",
        credits_used=answer.credits_used,
        model_name=asked.model_name,
        system_instruction=asked.system_instruction,
        config=dict(asked.config),
    )
