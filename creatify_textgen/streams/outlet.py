"""Publishes a pump's chunks as frames in the hub, until somebody stops the generation.

The remote cannot stop: the pump then reads on to learn the cost, but nothing more is sent to
readers or added to the text. Invariant: after the end frame nothing is published, whichever thread
wrote it.
"""

from __future__ import annotations

import threading

from creatify_textgen.models import Generation
from creatify_textgen.remote import Chunk
from creatify_textgen.streams.hub import Frame, get_hub
from creatify_textgen.streams.own_frames import stopped
from creatify_textgen.streams.transcript import Transcript

__all__ = ["Outlet"]


class Outlet:
    def __init__(self, generation: Generation, transcript: Transcript) -> None:
        self._generation_id = generation.pk
        self._key = str(generation.pk)
        self._transcript = transcript
        self._hub = get_hub()
        self._frames: list[Frame] = []
        """Read and not published yet."""
        self._is_closed = False
        # `stop` comes from another thread. Reentrant, because `stop` calls `flush`.
        self._lock = threading.RLock()

    def take(self, chunk: Chunk) -> None:
        """Add a chunk to the transcript, and its frame to those that `flush` publishes."""
        with self._lock:
            if self._transcript.is_stopped:
                self._transcript.drain(chunk)
            else:
                self._frames.append(self._transcript.add(chunk))

    def flush(self) -> None:
        """Publish the frames taken since the last call.

        Those that arrived in one block go together: one by one costs as much as parsing them.
        """
        with self._lock:
            if self._frames:
                self._hub.publish(self._key, self._frames)
                self._frames.clear()

    def stop(self) -> None:
        """End the stream for its readers; nothing if it is ending by itself."""
        with self._lock:
            if self._is_closed or self._transcript.is_stopped:
                return
            # First, because readers must receive all text that the row will have.
            self.flush()
            self._transcript.is_stopped = True
            self._hub.publish(self._key, stopped(self._generation_id, self._transcript.position))

    def close(self) -> None:
        """Let no stop come between the verdict and the end frame."""
        with self._lock:
            self._is_closed = True

    def publish_end(self, frames: list[Frame]) -> None:
        """Publish the last frames, unless the readers already have an end."""
        # No lock: after `close` no other thread changes `is_stopped`. Before the first chunk, when
        # a refusal is published, nobody watches the stream, so nobody can stop it here.
        if not self._transcript.is_stopped:
            self._hub.publish(self._key, frames)
