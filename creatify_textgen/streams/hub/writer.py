"""Writes frames to Redis in pipelines: one thread per process, for any number of streams.

A pump never waits here. Invariant: the frames of a stream arrive in order. While Redis is
unreachable they are kept up to `MAX_PENDING_BYTES`; then the oldest are dropped, and readers take
the missing text from the row.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import compress
from operator import not_
from typing import Any

import redis

from creatify_textgen.logs import STREAMS, warn_of
from creatify_textgen.streams.hub.frames import END, Frame
from creatify_textgen.streams.hub.stream_trim import KEEP_SECONDS, StreamTrim, stream_key

__all__ = ["StreamWriter", "stream_key"]

KEEP_ENDED_SECONDS = 300
"""How long Redis keeps an ended stream; later readers read the row."""
MAX_PENDING_BYTES = 64 * 1024 * 1024
"""The most bytes that wait in this process, for all streams together."""
FRAMES_AT_ONCE = 500
BYTES_AT_ONCE = 4 * 1024 * 1024
"""One pipeline holds at most this; the last frame may exceed the bytes."""
RETRY_SECONDS = 0.5
"""The pause after an error of Redis."""
GATHER_SECONDS = 0.003
"""The least time between two writes, so that they carry more frames. A lone frame does not wait."""

NOT_NOW = (
    redis.exceptions.ClusterDownError,  # Also the answer of a replica that lost its master.
    redis.exceptions.NoPermissionError,
    redis.exceptions.OutOfMemoryError,
    redis.exceptions.ReadOnlyError,  # The answer of a former master after a failover.
    redis.exceptions.TryAgainError,
)
NOT_NOW_WORDS = ("BUSY ", "MISCONF ", "NOREPLICAS ")
"""Errors about the state of Redis, not about the frame: the frame is sent again later."""
ALREADY_WRITTEN = "equal or smaller"
"""Part of Redis's error if a stream has an entry with this id or a later one (Redis 5 to 8)."""

_Pending = tuple[str, Frame]


class StreamWriter:
    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        # Deques are thread-safe without a lock. Hundreds of pumps would wait for a lock.
        self._pending: deque[_Pending] = deque()
        self._pending_bytes = 0
        """An estimate: `+=` in two threads may lose one; set to 0 whenever nothing is pending."""
        self._signals: deque[str] = deque()
        self._trims: dict[str, StreamTrim] = {}
        """One per running stream; the stream whose time to live was set last is at the end."""
        self._awake = threading.Event()
        self._closed = False
        self._written_at = 0.0
        self._thread = threading.Thread(target=self._run, name="textgen-frames", daemon=True)
        self._thread.start()

    def put(self, stream: str, frames: Sequence[Frame]) -> None:
        """Queue these frames for the thread. Never waits, never raises."""
        for frame in frames:
            self._pending.append((stream, frame))
            self._pending_bytes += len(frame.wire)
        if self._pending_bytes > MAX_PENDING_BYTES:
            self._drop_oldest()
        # Reading the flag takes no lock, and it is nearly always set while streams run.
        if not self._awake.is_set():
            self._awake.set()

    def signal(self, key: str) -> None:
        """Queue an entry for this control key, which ends the read that blocks on the key."""
        self._signals.append(key)
        self._awake.set()

    def close(self) -> None:
        """Try once to write what is pending, then stop the thread. Waits up to 5 seconds."""
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
            except Exception:  # A bug in one frame must not end this thread, and so all streams.
                STREAMS.exception("An unexpected error: some frames were not written to Redis.")
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
            # Redis may have executed any part of the pipeline, so all of it is sent again.
            for stream, frame in frames:
                self._trim(stream).lose(frame.number)
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
        # By the length of now: another thread may add signals faster than this loop takes them.
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
        warn_of(
            ("redis", "write", type(error)),
            STREAMS,
            "Redis did not take frames (%s); they wait in this process until it does.",
            type(error).__name__,
        )
        # After a failover the address leads to the new master, but only on a new connection.
        self._client.connection_pool.disconnect()
        time.sleep(RETRY_SECONDS)
        return False

    def _send(self, frames: Sequence[_Pending], signals: set[str]) -> tuple[list[Any], list[Any]]:
        """Return the answers to the frames, and the answers to all other commands.

        The answer to a frame is its id, or None if Redis has lost the stream, or an error.
        """
        now = time.monotonic()
        pipeline = self._client.pipeline(transaction=False)
        is_frame: list[bool] = []
        for stream, frame in frames:
            trim = self._trims.get(stream) or self._trim(stream)
            start, end, event, wire = frame
            oldest = trim.count(end.number, len(wire))
            header = f"{event}|{start}|{end}"
            # The frame's number is the entry's id, so Redis refuses a frame that it has already.
            # "~" lets Redis drop whole blocks of entries, which is far cheaper than exactly.
            pipeline.execute_command(  # type: ignore[no-untyped-call]
                "XADD", *trim.place, "MINID", "~", oldest, f"{end.number}-0", "h", header, "w", wire
            )
            is_frame.append(True)
            if event == END or trim.is_due(now):
                # In the same pipeline, so a stream has a time to live even if this process dies.
                pipeline.expire(trim.place[0], KEEP_ENDED_SECONDS if event == END else KEEP_SECONDS)
                is_frame.append(False)
                trim.renew(now)
                self._trims[stream] = self._trims.pop(stream)
        for key in signals:
            pipeline.execute_command("XADD", key, "MAXLEN", 1, "*", "h", "")  # type: ignore[no-untyped-call]
            pipeline.expire(key, KEEP_SECONDS)
        answers = pipeline.execute(raise_on_error=False)
        others = list(compress(answers, map(not_, is_frame))) + answers[len(is_frame) :]
        return list(compress(answers, is_frame)), others

    def _judge(self, frames: Sequence[_Pending], answers: Sequence[Any]) -> list[_Pending]:
        """Return the frames to send again, without those that Redis will never accept."""
        left: list[_Pending] = []
        refusals: list[Exception] = []
        for pending, answer in zip(frames, answers, strict=True):
            stream, frame = pending
            if answer is None or _is_not_now(answer):
                self._trim(stream).forget()
                left.append(pending)
                continue
            if isinstance(answer, redis.RedisError) and not self._was_written(pending, answer):
                refusals.append(answer)
            if frame.event == END:
                self._trims.pop(stream, None)
        if refusals:
            STREAMS.error(
                "Redis refused %d frames (%s); readers take their text from the row.",
                len(refusals),
                refusals[0],
            )
        return left

    def _was_written(self, pending: _Pending, answer: redis.RedisError) -> bool:
        """Return whether this error means that Redis already has the frame.

        It does if the frame was sent before and its answer was lost: the pump's lease ensures that
        nobody else writes this stream. For a frame that is sent for the first time, the error
        means that Redis has a later one, from another writer; the frame is left out. A Redis that
        was restored from an older state accepts the frame after a gap. Readers take the text of
        any gap from the row.
        """
        stream, frame = pending
        return ALREADY_WRITTEN in str(answer) and frame.number <= self._trim(stream).unanswered

    def _trim(self, stream: str) -> StreamTrim:
        trim = self._trims.get(stream)
        if trim is None:
            now = time.monotonic()
            self._forget_old(now)
            trim = self._trims[stream] = StreamTrim(stream, now=now)
        return trim

    def _forget_old(self, now: float) -> None:
        # Streams without an end, whose time to live in Redis is over.
        while self._trims:
            stream, trim = next(iter(self._trims.items()))
            if trim.used_at > now - KEEP_SECONDS:
                return
            del self._trims[stream]


def _is_not_now(answer: Any) -> bool:
    if not isinstance(answer, redis.ResponseError):
        return False
    return isinstance(answer, NOT_NOW) or str(answer).startswith(NOT_NOW_WORDS)
