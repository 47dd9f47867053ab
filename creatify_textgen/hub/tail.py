"""What a writer knows of one stream in Redis: how far back it reaches, how long it lives. Pure.

Invariant: the frames from the number on that `count` returns have at most MAX_BYTES, or are one.
"""

from __future__ import annotations

import math
from collections import deque

__all__ = ["KEEP_SECONDS", "MAX_BYTES", "MAX_LENGTH", "Tail", "stream_key"]

MAX_LENGTH = 10_000
MAX_BYTES = 16 * 1024 * 1024
"""Frames, and bytes, kept of one stream."""
STEP_BYTES = MAX_BYTES // 64
"""The oldest frames go in steps of so much, so that no size of a single frame is remembered."""
KEEP_SECONDS = 3600
"""After the last frame of a stream without an end."""
RENEW_SECONDS = 10.0


def stream_key(stream: str) -> str:
    return f"creatify_textgen:stream:{stream}"


class Tail:
    __slots__ = (
        "_bytes",
        "_counted",
        "_due_at",
        "_oldest",
        "_steps",
        "place",
        "unanswered",
        "used_at",
    )

    def __init__(self, stream: str, *, now: float) -> None:
        self.place: tuple[str, ...] = (stream_key(stream),)
        """The key, as the command that adds a frame has it."""
        self.used_at = now
        """When this was made, or the time to live was set last."""
        self.unanswered = 0
        """Number of the last frame that was sent and whose answer was lost."""
        self._due_at = -math.inf
        self._counted = 0
        self._oldest = 0
        self._bytes = 0
        self._steps: deque[tuple[int, int]] = deque()
        """The first frame of each step, and the bytes of all that came before it."""

    def count(self, number: int, size: int) -> int:
        """Return the number of the oldest frame to keep beside this one, sent anew or again."""
        if number > self._counted:
            self._counted = number
            steps, before = self._steps, self._bytes
            self._bytes = behind = before + size
            if not steps or behind - steps[-1][1] > STEP_BYTES:
                steps.append((number, before))
            while behind - steps[0][1] > MAX_BYTES and len(steps) > 1:
                steps.popleft()
                self._oldest = steps[0][0]
        return max(self._oldest, number - MAX_LENGTH + 1, 0)

    def is_due(self, now: float) -> bool:
        """Return whether the time to live is to be set with the next frame."""
        return now >= self._due_at

    def renew(self, now: float) -> None:
        """Take note that the time to live is set.

        From now on a frame does not make the stream: one that Redis lost would come to life
        without an end to it, and stay if the writer died before the next renewal.
        """
        self.used_at = now
        self._due_at = now + RENEW_SECONDS
        self.place = (self.place[0], "NOMKSTREAM")

    def forget(self) -> None:
        """Take note that Redis may not have the stream: the next frame makes it, if need be."""
        self._due_at = -math.inf
        self.place = self.place[:1]

    def lose(self, number: int) -> None:
        """Take note that frames up to this one were sent, and that their answers were lost."""
        self.forget()
        self.unanswered = number
