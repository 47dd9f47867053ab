"""A line between a reader and a server, which a test can cut, mend, and let fall silent."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self

__all__ = ["Cable"]


class Cable:
    """Listens on a free port and passes bytes both ways. Use as a context manager."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._is_cut = threading.Event()
        self._ends: list[socket.socket] = []
        self._silent: set[socket.socket] = set()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name="cable", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.cut()
        # A thread that blocks in accept is not woken by a mere close.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def cut(self) -> None:
        """End all connections where they are, and all that come until it is mended."""
        self._is_cut.set()
        with self._lock:
            for end in self._ends:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            self._ends.clear()

    def fall_silent(self) -> None:
        """Let nothing more through on the connections of now, not even their end. New ones work."""
        with self._lock:
            self._silent.update(self._ends)

    def mend(self, *, port: int | None = None) -> None:
        """Let connections be made again, to another server if a port is given."""
        self._port = port or self._port
        self._is_cut.clear()

    def _accept(self) -> None:
        while self._listener.fileno() >= 0:
            # A connection that its browser has given up already must not end this thread.
            with suppress(OSError):
                near, _ = self._listener.accept()
                if self._is_cut.is_set() or not self._connect(near):
                    near.close()

    def _connect(self, near: socket.socket) -> bool:
        try:
            far = socket.create_connection(("127.0.0.1", self._port))
        except OSError:
            return False
        with self._lock:
            self._ends += near, far
        for source, target in ((near, far), (far, near)):
            threading.Thread(target=self._pass_on, args=[source, target], daemon=True).start()
        return True

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                if source not in self._silent:
                    target.sendall(piece)
        if source in self._silent:
            self._is_cut.wait()
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        source.close()
