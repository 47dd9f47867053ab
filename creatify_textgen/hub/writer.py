"""Writes frames to Redis: one thread a process, in pipelines, whatever the number of streams.

Nothing here makes a pump wait. Invariant: a stream's frames arrive in order; while Redis is away
they are kept, up to a limit, and the oldest go first (readers then bridge from the row).
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence

import redis

from creatify_textgen.hub.frames import END, Frame

__all__ = ["StreamWriter", "stream_key"]

logger = logging.getLogger(__name__)

MAX_LENGTH = 10_000
MAX_BYTES = 16 * 1024 * 1024
"""Frames, and bytes, kept of one stream."""
KEEP_SECONDS = 3600
"""After the last frame of a stream without an end."""
KEEP_ENDED_SECONDS = 300
RENEW_SECONDS = 60.0
MAX_PENDING_BYTES = 64 * 1024 * 1024
FRAMES_AT_ONCE = 500
BYTES_AT_ONCE = 4 * 1024 * 1024
"""In one pipeline, or one more frame than that."""
RETRY_SECONDS = 0.5
ALREADY_WRITTEN = "equal or smaller"
"""Of a frame that was written before its answer was lost."""
GATHER_SECONDS = 0.003
"""From one write to the next where there is much to write; a lone frame goes at once."""


def stream_key(stream: str) -> str:
    return f"creatify_textgen:stream:{stream}"


class StreamWriter:
    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        # Deques and no lock: hundreds of pumps would queue up for it behind this one thread.
        self._pending: deque[tuple[str, Frame]] = deque()
        self._signals: deque[str] = deque()
        self._renewed: dict[str, float] = {}
        """When each stream's time to live was last set."""
        self._sizes: dict[str, int] = {}
        """Bytes written of each stream that is under way."""
        self._awake = threading.Event()
        self._closed = False
        self._written_at = 0.0
        self._thread = threading.Thread(target=self._run, name="textgen-frames", daemon=True)
        self._thread.start()

    def put(self, stream: str, frames: Sequence[Frame]) -> None:
        """Have these frames written soon."""
        for frame in frames:
            self._pending.append((stream, frame))
        if not self._awake.is_set():
            self._awake.set()

    def signal(self, key: str) -> None:
        """Have an entry added to this control key, for whoever blocks on it."""
        self._signals.append(key)
        self._awake.set()

    def close(self) -> None:
        """Write what is pending, once, and stop."""
        self._closed = True
        self._awake.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._closed or self._pending:
            self._awake.wait()
            self._awake.clear()
            while self._pending or self._signals:
                time.sleep(max(self._written_at + GATHER_SECONDS - time.monotonic(), 0))
                if not self._write_some() and self._closed:
                    return
                self._written_at = time.monotonic()

    def _write_some(self) -> bool:
        frames, signals = self._take()
        try:
            self._write(frames, signals)
        except (redis.RedisError, OSError) as error:
            logger.warning("Frames wait for Redis (%s).", type(error).__name__)
            self._give_back(frames, signals)
            time.sleep(RETRY_SECONDS)
            return False
        return True

    def _take(self) -> tuple[list[tuple[str, Frame]], set[str]]:
        frames: list[tuple[str, Frame]] = []
        size = 0
        while self._pending and len(frames) < FRAMES_AT_ONCE and size < BYTES_AT_ONCE:
            frames.append(self._pending.popleft())
            size += len(frames[-1][1].wire)
        signals = {self._signals.popleft() for _ in range(len(self._signals))}
        return frames, signals

    def _give_back(self, frames: Sequence[tuple[str, Frame]], signals: set[str]) -> None:
        self._pending.extendleft(reversed(frames))
        self._signals.extend(signals)
        self._renewed.clear()
        size = sum(len(frame.wire) for _, frame in tuple(self._pending))
        while size > MAX_PENDING_BYTES:
            size -= len(self._pending.popleft()[1].wire)

    def _write(self, frames: Sequence[tuple[str, Frame]], signals: set[str]) -> None:
        now = time.monotonic()
        pipeline = self._client.pipeline(transaction=False)
        for stream, frame in frames:
            key = stream_key(stream)
            start, end, event, wire = frame
            header = f"{event}|{start}|{end}"
            kept = self._count_bytes(key, len(wire), number=end.number)
            pipeline.execute_command(  # type: ignore[no-untyped-call]
                "XADD", key, "MAXLEN", "~", kept, f"{end.number}-0", "h", header, "w", wire
            )
            self._renew(pipeline, key, event=event, now=now)
        for key in signals:
            pipeline.execute_command("XADD", key, "MAXLEN", 1, "*", "h", "")  # type: ignore[no-untyped-call]
            pipeline.expire(key, KEEP_SECONDS)
        for answer in pipeline.execute(raise_on_error=False):
            if not isinstance(answer, redis.RedisError) or ALREADY_WRITTEN in str(answer):
                continue
            if not isinstance(answer, redis.ResponseError):
                raise answer
            logger.error("Redis refuses frames (%s).", answer)
            break

    def _count_bytes(self, key: str, size: int, *, number: int) -> int:
        """Return how many frames of this stream to keep."""
        total = self._sizes[key] = self._sizes.get(key, 0) + size
        if total <= MAX_BYTES:
            return MAX_LENGTH
        return max(min(MAX_LENGTH, number * MAX_BYTES // total), 1)

    def _renew(self, pipeline: redis.client.Pipeline, key: str, *, event: str, now: float) -> None:
        if event == END:
            pipeline.expire(key, KEEP_ENDED_SECONDS)
            self._renewed.pop(key, None)
            self._sizes.pop(key, None)
        elif now - self._renewed.get(key, -RENEW_SECONDS) >= RENEW_SECONDS:
            pipeline.expire(key, KEEP_SECONDS)
            self._renewed[key] = now
