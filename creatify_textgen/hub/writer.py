"""Writes frames to Redis: one thread a process, in pipelines, whatever the number of streams.

Nothing here makes a pump wait. Invariant: a stream's frames arrive in order; while Redis is away
they are kept, up to a limit, and the oldest go first (readers then bridge from the row).
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import compress
from operator import not_
from typing import Any

import redis

from creatify_textgen.hub.frames import END, Frame
from creatify_textgen.hub.tail import KEEP_SECONDS, Tail, stream_key

__all__ = ["StreamWriter", "stream_key"]

logger = logging.getLogger(__name__)

KEEP_ENDED_SECONDS = 300
MAX_PENDING_BYTES = 64 * 1024 * 1024
FRAMES_AT_ONCE = 500
BYTES_AT_ONCE = 4 * 1024 * 1024
"""In one pipeline, or one more frame than that."""
RETRY_SECONDS = 0.5
GATHER_SECONDS = 0.003
"""From one write to the next where there is much to write; a lone frame goes at once."""

NOT_NOW = (
    redis.exceptions.ClusterDownError,  # and a replica that has lost its master
    redis.exceptions.NoPermissionError,
    redis.exceptions.OutOfMemoryError,
    redis.exceptions.ReadOnlyError,  # what was the master before a failover
    redis.exceptions.TryAgainError,
)
NOT_NOW_WORDS = ("BUSY ", "MISCONF ", "NOREPLICAS ")
"""Refusals that say something of Redis and nothing of the frame."""
ALREADY_WRITTEN = "equal or smaller"

_Pending = tuple[str, Frame]


class StreamWriter:
    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        # Deques and no lock: hundreds of pumps would queue up for it behind this one thread.
        self._pending: deque[_Pending] = deque()
        self._pending_bytes = 0
        """Nearly: what threads add at once may be lost, until the next time nothing is pending."""
        self._signals: deque[str] = deque()
        self._tails: dict[str, Tail] = {}
        """Of the streams under way; what was renewed last comes last."""
        self._awake = threading.Event()
        self._closed = False
        self._written_at = 0.0
        self._thread = threading.Thread(target=self._run, name="textgen-frames", daemon=True)
        self._thread.start()

    def put(self, stream: str, frames: Sequence[Frame]) -> None:
        """Have these frames written soon."""
        for frame in frames:
            self._pending.append((stream, frame))
            self._pending_bytes += len(frame.wire)
        if self._pending_bytes > MAX_PENDING_BYTES:
            self._drop_oldest()
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
            try:
                self._awake.wait()
                self._awake.clear()
                if not self._write_pending() and self._closed:
                    return
            except Exception:  # a fault of ours, whatever it is, must not end all streams
                logger.exception("Some frames were left out.")
                time.sleep(RETRY_SECONDS)
                self._awake.set()

    def _write_pending(self) -> bool:
        while self._pending or self._signals:
            time.sleep(max(self._written_at + GATHER_SECONDS - time.monotonic(), 0))
            if not self._write_some() and self._closed:
                return False
            self._written_at = time.monotonic()
        return True

    def _write_some(self) -> bool:
        frames, signals = self._take()
        try:
            answers, others = self._send(frames, signals)
        except (redis.RedisError, OSError) as error:
            for stream, frame in frames:
                self._tail(stream).lose(frame.number)
            self._give_back(frames, signals)
            return self._pause(error)
        left = self._judge(frames, answers)
        outage = next((answer for answer in (*answers, *others) if _is_not_now(answer)), None)
        self._give_back(left, signals if outage else ())
        return outage is None or self._pause(outage)

    def _take(self) -> tuple[list[_Pending], set[str]]:
        frames: list[_Pending] = []
        size = 0
        try:
            while len(frames) < FRAMES_AT_ONCE and size < BYTES_AT_ONCE:
                frames.append(self._pending.popleft())
                size += len(frames[-1][1].wire)
        except IndexError:
            self._pending_bytes = 0
        else:
            self._pending_bytes -= size
        signals = {self._signals.popleft() for _ in range(len(self._signals))}
        return frames, signals

    def _give_back(self, frames: Sequence[_Pending], signals: Iterable[str]) -> None:
        self._signals.extend(signals)
        self._pending.extendleft(reversed(frames))
        self._pending_bytes += sum(len(frame.wire) for _, frame in frames)
        self._drop_oldest()

    def _drop_oldest(self) -> None:
        while self._pending_bytes > MAX_PENDING_BYTES:
            try:
                _, frame = self._pending.popleft()
            except IndexError:
                return
            self._pending_bytes -= len(frame.wire)

    def _pause(self, error: Exception) -> bool:
        logger.warning("Frames wait for Redis (%s).", type(error).__name__)
        # A new connection finds the new master, where an address has moved to one.
        self._client.connection_pool.disconnect()
        time.sleep(RETRY_SECONDS)
        return False

    def _send(self, frames: Sequence[_Pending], signals: set[str]) -> tuple[list[Any], list[Any]]:
        """Return the answers to the frames, and all others.

        That to a frame is its id, or None where Redis has lost the stream, or an error.
        """
        now = time.monotonic()
        pipeline = self._client.pipeline(transaction=False)
        is_frame: list[bool] = []
        for stream, frame in frames:
            tail = self._tails.get(stream) or self._tail(stream)
            start, end, event, wire = frame
            oldest = tail.count(end.number, len(wire))
            header = f"{event}|{start}|{end}"
            pipeline.execute_command(  # type: ignore[no-untyped-call]
                "XADD", *tail.place, "MINID", "~", oldest, f"{end.number}-0", "h", header, "w", wire
            )
            is_frame.append(True)
            if event == END or tail.is_due(now):
                # At once, so that nothing is without a time to live if this process dies.
                pipeline.expire(tail.place[0], KEEP_ENDED_SECONDS if event == END else KEEP_SECONDS)
                is_frame.append(False)
                tail.renew(now)
                self._tails[stream] = self._tails.pop(stream)
        for key in signals:
            pipeline.execute_command("XADD", key, "MAXLEN", 1, "*", "h", "")  # type: ignore[no-untyped-call]
            pipeline.expire(key, KEEP_SECONDS)
        answers = pipeline.execute(raise_on_error=False)
        others = list(compress(answers, map(not_, is_frame))) + answers[len(is_frame) :]
        return list(compress(answers, is_frame)), others

    def _judge(self, frames: Sequence[_Pending], answers: Sequence[Any]) -> list[_Pending]:
        """Return the frames to send again; what Redis will never take is left out."""
        left: list[_Pending] = []
        refusals: list[Exception] = []
        for pending, answer in zip(frames, answers, strict=True):
            stream, frame = pending
            if answer is None or _is_not_now(answer):
                self._tail(stream).forget()
                left.append(pending)
                continue
            if isinstance(answer, redis.RedisError) and not self._was_written(pending, answer):
                refusals.append(answer)
            if frame.event == END:
                self._tails.pop(stream, None)
        if refusals:
            logger.error("Redis refuses frames (%s); %d left out.", refusals[0], len(refusals))
        return left

    def _was_written(self, pending: _Pending, answer: redis.RedisError) -> bool:
        """Return whether Redis has this frame, whose answer was lost.

        What was sent before is there, as long as nobody else writes the stream, and a pump's lease
        sees to that. Of what was not it says that a later frame is there, or another writer's:
        readers find a hole or that frame. A Redis that was restored from an older state, or a
        replica that was behind, has smaller ids: it takes the frame, behind a hole. Readers bridge
        holes from the row.
        """
        stream, frame = pending
        return ALREADY_WRITTEN in str(answer) and frame.number <= self._tail(stream).unanswered

    def _tail(self, stream: str) -> Tail:
        tail = self._tails.get(stream)
        if tail is None:
            now = time.monotonic()
            self._forget_old(now)
            tail = self._tails[stream] = Tail(stream, now=now)
        return tail

    def _forget_old(self, now: float) -> None:
        """Forget streams that never ended and are gone from Redis."""
        while self._tails:
            stream, tail = next(iter(self._tails.items()))
            if tail.used_at > now - KEEP_SECONDS:
                return
            del self._tails[stream]


def _is_not_now(answer: Any) -> bool:
    if not isinstance(answer, redis.ResponseError):
        return False
    return isinstance(answer, NOT_NOW) or str(answer).startswith(NOT_NOW_WORDS)
