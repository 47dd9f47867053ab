"""A stream is cut whatever has replaced Python's sockets."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest

from creatify_textgen.remote import transport
from creatify_textgen.remote.transport import WatchedSocket


class GreenSocket:
    """As eventlet's: its method is on the object and not on the class."""

    def __init__(self) -> None:
        self.ends: list[int] = []
        self.shutdown = self.ends.append
        self.settimeout = self.gettimeout = lambda *seconds: None


class TestCut:
    def test_ends_a_socket_of_eventlet(self, monkeypatch: pytest.MonkeyPatch) -> None:
        green = SimpleNamespace(socket=GreenSocket, SHUT_RDWR=socket.SHUT_RDWR)
        monkeypatch.setattr(transport, "socket", green)
        connected: Any = GreenSocket()
        line = WatchedSocket(connect=1, wait=1)
        line.attach(connected, is_reused=False)
        line.cut()
        assert connected.ends == [socket.SHUT_RDWR]
