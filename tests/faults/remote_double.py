"""A remote in this process for the state machine: accepts, bills, loses answers, on command.

It has the client's interface and none of its sockets; journeys use the emulator instead.
"""

from __future__ import annotations

import json
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Self

from django.utils import timezone

from creatify_textgen import clock
from creatify_textgen.exceptions import (
    RateLimitedError,
    RemoteError,
    RemoteRejectedError,
    RemoteUnavailableError,
    StreamError,
)
from creatify_textgen.remote import (
    Chunk,
    GenerationRequest,
    Listing,
    Receipt,
    RemoteClock,
    RemoteGeneration,
    Timeouts,
    parse_chunk,
)
from creatify_textgen.remote.protocol import build_create, build_stream

__all__ = ["FAULTS", "STREAM_FAULTS", "KilledError", "RemoteDouble"]


class KilledError(BaseException):
    """Stands for SIGKILL: the app must not catch it."""


FAULTS = (
    "none",
    "refused_503",
    "refused_429",
    "refused_400",
    "never_connected",
    "lost_before",
    "lost_after",
    "killed_before",
    "killed_after",
)
STREAM_FAULTS = (
    "none",
    "refused_400",
    "lost_before",
    "lost_after",
    "killed_before",
    "killed_after",
    "cut",
    "cut_and_never_listed",
    "error_inside",
    "killed_inside",
    "killed_at_the_end",
)
ACCEPTED_ALL_THE_SAME = ("none", "lost_after", "killed_after")


@dataclass
class StreamDouble:
    """A stream of two chunks with the given fault."""

    remote_id: str
    fault: str
    receipt: Receipt | None = None

    def __iter__(self) -> Iterator[Chunk]:
        yield self._chunk("answer ")
        if self.fault in ("cut", "cut_and_never_listed"):
            raise StreamError("The stream broke off.")
        if self.fault == "error_inside":
            yield parse_chunk('{"error": {"code": 503, "status": "UNAVAILABLE", "message": "x"}}')
            raise StreamError("The remote gave up.", code="UNAVAILABLE")
        if self.fault == "killed_inside":
            raise KilledError
        creatify = {"id": self.remote_id, "credits_used": 0.0005}
        last = self._chunk(self.remote_id, finishReason="STOP", creatify=creatify)
        self.receipt = last.receipt
        yield last
        if self.fault == "killed_at_the_end":
            raise KilledError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing to give up."""

    def _chunk(self, text: str, creatify: object = None, **candidate: object) -> Chunk:
        content = {"role": "model", "parts": [{"text": text}]}
        chunk: dict[str, object] = {"candidates": [{"content": content, **candidate}]}
        if creatify is not None:
            chunk["creatify"] = creatify
        return parse_chunk(json.dumps(chunk))


@dataclass(frozen=True)
class PreparedDouble:
    """A send whose length is known, as `PreparedSend` is."""

    request: GenerationRequest
    seconds: float


@dataclass
class RemoteDouble:
    """What the remote knows, and how its next creates go."""

    generations: dict[str, RemoteGeneration] = field(default_factory=dict)
    faults: deque[str] = field(default_factory=deque)
    is_down: bool = False
    date_ahead: timedelta = timedelta()
    """By how much its `Date` header is ahead of the clock that dates its generations."""

    def prepare(self, request: GenerationRequest, *, stream: bool = False) -> PreparedDouble:
        build = build_stream if stream else build_create
        seconds = Timeouts().longest_send(
            sync=request.sync, stream=stream, body_bytes=len(build(request))
        )
        return PreparedDouble(request, seconds)

    def create(self, prepared: PreparedDouble) -> RemoteGeneration:
        request = prepared.request
        fault = self.faults.popleft() if self.faults else "none"
        if self.is_down:
            raise RemoteUnavailableError("down", request_sent=False)
        accepted = self._accept(request) if fault in ACCEPTED_ALL_THE_SAME else None
        _raise(fault)
        assert accepted is not None
        return accepted

    def stream(self, prepared: PreparedDouble) -> StreamDouble:
        request = prepared.request
        fault = self.faults.popleft() if self.faults else "none"
        if self.is_down:
            raise RemoteRejectedError("down", status=400)
        if fault in ("refused_400", "lost_before", "killed_before"):
            _raise(fault)
        accepted = self._accept(request)
        if fault in ("lost_after", "killed_after"):
            _raise(fault)
        if fault in ("cut_and_never_listed", "error_inside"):
            del self.generations[accepted.id]
        else:
            self.advance(accepted.id, "done")
        return StreamDouble(accepted.id, fault)

    def get(self, remote_id: str) -> RemoteGeneration:
        self._check_up()
        if remote_id not in self.generations:
            raise RemoteRejectedError("no such generation", status=404, code="not_found")
        return self.generations[remote_id]

    def list(self, keep: Callable[[RemoteGeneration], bool] = lambda _: True) -> Listing:
        self._check_up()
        known = list(reversed(self.generations.values()))
        kept = [remote for remote in known if keep(remote)]
        moment = time.monotonic()
        shown = clock.utc_now() + self.date_ahead
        served = RemoteClock(shown, asked_at=moment, received_at=moment)
        return Listing(generations=kept, total=len(known), pages=1, clocks=[served])

    def remaining_credits(self) -> Decimal:
        self._check_up()
        return Decimal(100)

    def advance(self, remote_id: str, status: str) -> None:
        """Move a generation on; its end is billed."""
        remote = self.generations[remote_id]
        if remote.status in ("done", "failed"):
            return
        cost = Decimal("0.0005") if status in ("done", "failed") else Decimal(0)
        text = f"answer {remote_id}" if status == "done" else ""
        self.generations[remote_id] = replace(
            remote, status=status, credits_used=cost, response_text=text
        )

    def creates_of(self, prompt: str) -> int:
        """How many generations of this prompt were accepted, that is billed."""
        return sum(
            remote.messages is not None and remote.messages[0]["content"] == prompt
            for remote in self.generations.values()
        )

    def _accept(self, request: GenerationRequest) -> RemoteGeneration:
        now: datetime = timezone.now()
        remote = RemoteGeneration(
            id=str(uuid.uuid4()),
            status="pending",
            model_name=request.model_name,
            messages=[dict(message) for message in request.messages],
            system_instruction=request.system_instruction,
            config=dict(request.config or {}),
            credits_used=Decimal(0),
            created_at=now,
            updated_at=now,
        )
        self.generations[remote.id] = remote
        return remote

    def _check_up(self) -> None:
        if self.is_down:
            raise RemoteUnavailableError("down", request_sent=False)


def _raise(fault: str) -> None:
    errors: dict[str, RemoteError] = {
        "refused_503": RemoteUnavailableError("busy", status=503, retry_after=1),
        "refused_429": RateLimitedError("busy", status=429, retry_after=1),
        "refused_400": RemoteRejectedError("no", status=400),
        "never_connected": RemoteUnavailableError("no route", request_sent=False),
        "lost_before": RemoteUnavailableError("reset"),
        "lost_after": RemoteUnavailableError("reset"),
    }
    if fault in errors:
        raise errors[fault]
    if fault.startswith("killed"):
        raise KilledError
