"""What the emulator remembers: generations, credits spent, the request log, counters.

Changed on the event loop only, readable from any thread. Every access holds the lock.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from creatify_textgen.emulator.faults.switches import Settings
from creatify_textgen.emulator.model.answers import ModelAnswer

__all__ = ["FINAL", "LogRecord", "RemoteGeneration", "State"]

FINAL = frozenset({"done", "failed"})
COUNTERS = ("creates", "refused", "gets", "lists", "webhooks")
# They say how to deliver the answer, not what to answer; the URL differs for each row of a client.
NOT_COMPARED = ("webhook_url", "sync")
SECRET_HEADERS = frozenset({"x-api-id", "x-api-key", "authorization", "cookie"})


# Without `eq`: objects are keys of timers, and two generations of equal requests are two.
@dataclass(slots=True, eq=False)
class RemoteGeneration:
    """One generation as the API knows it."""

    id: str
    workspace: str
    mode: str
    """async, sync or stream."""
    request: Mapping[str, Any]
    settings: Settings
    """The switches at the time it was created."""
    answer: ModelAnswer
    """The answer it has if it succeeds."""
    echo: Mapping[str, Any]
    """The fields that every answer repeats."""
    created_at: datetime
    """By the emulator's own clock."""
    stored_at: datetime | None = None
    """The real time from which GET and the list know it; None before."""
    ended_at: datetime | None = None
    """The real time at which it became final."""
    is_started: bool = False
    status: str = "pending"
    response_text: str = ""
    response_function_calls: list[dict[str, Any]] = field(default_factory=list)
    failed_reason: str = ""
    credits_used: float = 0
    forced_failure: str = ""
    """Why it fails, whatever the switches say."""
    watchers: list[Callable[[], None]] = field(default_factory=list)
    """Called once it is final."""

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def is_visible(self) -> bool:
        """Whether GET and the list show it."""
        listed = self.settings.stream_listed
        ended = listed == "at_end" and self.is_final
        return self.mode != "stream" or listed == "at_once" or ended


@dataclass(slots=True)
class LogRecord:
    """One request received, or one webhook sent."""

    kind: str
    """create, stream, get, list, credits, other, or webhook."""
    method: str
    path: str
    """For a webhook, the whole URL."""
    headers: Mapping[str, str]
    body: Any
    """JSON, media as their size and hash; None if there was none or it was unreadable."""
    time: datetime
    status: int | None = None
    """The status of the answer, or None if there was no answer."""
    error: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "method": self.method,
            "path": self.path,
            "headers": dict(self.headers),
            "body": self.body,
            "time": self.time.isoformat(),
            "status": self.status,
            "error": self.error,
        }


class State:
    """Everything that a reset clears."""

    def __init__(self, *, settings: Settings, now: Callable[[], datetime] | None = None) -> None:
        self.now = now or _utc_now
        self._lock = threading.Lock()
        self.reset(settings=settings)

    def reset(self, *, settings: Settings) -> None:
        """Forget everything; work under way for forgotten generations has no effect."""
        with self._lock:
            self._generations: dict[str, RemoteGeneration] = {}
            self._log: deque[LogRecord] = deque(maxlen=settings.request_log_size)
            self._counters: Counter[str] = Counter()
            self._spent: Counter[str] = Counter()

    @property
    def generations(self) -> list[RemoteGeneration]:
        """Oldest first."""
        with self._lock:
            return list(self._generations.values())

    @property
    def log(self) -> list[LogRecord]:
        with self._lock:
            return list(self._log)

    @property
    def counters(self) -> dict[str, int]:
        with self._lock:
            return {name: self._counters[name] for name in COUNTERS}

    def add(self, generation: RemoteGeneration) -> None:
        with self._lock:
            self._generations[generation.id] = generation
            # A dict keeps the order of insertion, so the first key is the oldest generation.
            while len(self._generations) > max(1, generation.settings.retention):
                del self._generations[next(iter(self._generations))]

    def holds(self, generation: RemoteGeneration) -> bool:
        """Return whether it is still remembered."""
        with self._lock:
            return self._generations.get(generation.id) is generation

    def find(self, generation_id: str, *, workspace: str | None = None) -> RemoteGeneration | None:
        """Return the generation, or None if it is unknown or of another workspace than asked."""
        with self._lock:
            generation = self._generations.get(generation_id)
        if generation is None or workspace not in (None, generation.workspace):
            return None
        return generation

    def find_equal(self, request: Mapping[str, Any], *, workspace: str) -> RemoteGeneration | None:
        """Return the workspace's latest generation of an equal create, or None."""
        # `Media` compare by hash and size, so equal images are equal without their bytes.
        wanted = _comparable(request)
        for generation in reversed(self.generations):
            known = generation.workspace == workspace and generation.mode != "stream"
            if known and _comparable(generation.request) == wanted:
                return generation
        return None

    def latest_but(self, generation: RemoteGeneration) -> RemoteGeneration | None:
        """Return the workspace's latest other generation, or None."""
        return next(
            (
                other
                for other in reversed(self.generations)
                if other.workspace == generation.workspace and other is not generation
            ),
            None,
        )

    def count(self, name: str) -> None:
        with self._lock:
            self._counters[name] += 1

    def record(
        self, kind: str, *, method: str, path: str, headers: Mapping[str, str], body: Any
    ) -> LogRecord:
        """Log a request, its body as `loggable` returns it; the caller adds the status."""
        # Logs end up in test reports, and the keys may be real ones.
        shown = {name: "***" if name in SECRET_HEADERS else headers[name] for name in headers}
        record = LogRecord(kind, method, path, shown, body, self.now())
        with self._lock:
            self._log.append(record)
        return record

    def charge(self, generation: RemoteGeneration, *, cost: float) -> None:
        with self._lock:
            generation.credits_used = cost
            self._spent[generation.workspace] += cost  # type: ignore[assignment]

    def balance(self, workspace: str, *, start: float) -> float:
        # Rounded, because sums of binary floats end in digits like …0000000004.
        with self._lock:
            return float(round(start - self._spent[workspace], 8))


def _comparable(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request without what differs between two equal ones."""
    return {name: value for name, value in request.items() if name not in NOT_COMPARED}


def _utc_now() -> datetime:
    return datetime.now(UTC)
