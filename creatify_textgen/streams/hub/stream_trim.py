"""Decides which frames of one stream Redis keeps, and when its time to live is renewed. Pure.

Invariant: the frames that `count` keeps have at most MAX_BYTES together, or are a single frame.
"""

from __future__ import annotations

import math
from collections import deque

__all__ = ["KEEP_SECONDS", "MAX_BYTES", "MAX_LENGTH", "StreamTrim", "stream_key"]

MAX_LENGTH = 10_000
MAX_BYTES = 16 * 1024 * 1024
"""The most frames, and the most bytes, that Redis keeps of one stream."""
STEP_BYTES = MAX_BYTES // 64
"""The oldest frames are dropped in steps of this size, so that only the steps are remembered, and
not the size of each frame."""
KEEP_SECONDS = 3600
"""How long Redis keeps a stream without an end after its last frame."""
RENEW_SECONDS = 10.0
"""How often the time to live is set again while frames are written."""


def stream_key(stream: str) -> str:
    """Return the key of a stream in Redis; `stream` is the id of a generation as text."""
    return f"creatify_textgen:stream:{stream}"


class StreamTrim:
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
        """The first arguments of XADD: the key, and perhaps `NOMKSTREAM`."""
        self.used_at = now
        """When this object was made, or when the time to live was last set."""
        self.unanswered = 0
        """The number of the last frame that was sent and whose answer was lost."""
        self._due_at = -math.inf
        self._counted = 0
        self._oldest = 0
        self._bytes = 0
        self._steps: deque[tuple[int, int]] = deque()
        """The first frame of each step, and the number of bytes before it."""

    def count(self, number: int, size: int) -> int:
        """Return the number of the oldest frame to keep. May be called twice for one frame."""
        # A frame that is sent again after an outage is already in the sum.
        if number > self._counted:
            self._counted = number
            steps, before = self._steps, self._bytes
            self._bytes = total = before + size
            if not steps or total - steps[-1][1] > STEP_BYTES:
                steps.append((number, before))
            # The last step stays: a frame that is larger than the limit is kept alone.
            while total - steps[0][1] > MAX_BYTES and len(steps) > 1:
                steps.popleft()
                self._oldest = steps[0][0]
        return max(self._oldest, number - MAX_LENGTH + 1, 0)

    def is_due(self, now: float) -> bool:
        """Return whether the next frame must also set the time to live."""
        return now >= self._due_at

    def renew(self, now: float) -> None:
        """Take note that the time to live is set.

        From now on a frame does not create the stream (`NOMKSTREAM`). Otherwise, if Redis lost
        the stream, a frame would create one without a time to live; if the writer died before the
        next renewal, that stream would stay forever.
        """
        self.used_at = now
        self._due_at = now + RENEW_SECONDS
        self.place = (self.place[0], "NOMKSTREAM")

    def forget(self) -> None:
        """Take note that Redis may have lost the stream: the next frame creates it if needed."""
        self._due_at = -math.inf
        self.place = self.place[:1]

    def lose(self, number: int) -> None:
        """Take note that the frames up to this one were sent, but no answer arrived."""
        # The time to live may be among what was lost, so it is set again.
        self.forget()
        self.unanswered = number
