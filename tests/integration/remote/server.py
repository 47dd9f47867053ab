"""A server of raw sockets whose every answer a test writes out: whole, in pieces, or not at all."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import NoReturn

Script = Callable[["Connection"], None]


@dataclass
class Received:
    """A request as it came in."""

    line: str
    headers: dict[str, str]
    body: bytes


class Connection:
    """What a script can do with the connection of one request."""

    def __init__(self, peer: socket.socket, stopping: threading.Event) -> None:
        self._peer = peer
        self._stopping = stopping

    def send(self, text: str | bytes) -> None:
        self._peer.sendall(text if isinstance(text, bytes) else text.encode())

    def answer(self, status: int, body: str | bytes = b"", **headers: str) -> None:
        raw = body if isinstance(body, bytes) else body.encode()
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(raw)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.send("\r\n".join([*lines, "", ""]).encode() + raw)

    def start_stream(self) -> None:
        self.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
        self.send("Connection: close\r\n\r\n")

    def end(self) -> None:
        """Say that nothing more comes, whatever was promised."""
        self._peer.shutdown(socket.SHUT_WR)

    def reset(self) -> NoReturn:
        """Break off without a word; ends the script."""
        self._peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise ConnectionAbortedError

    def hang(self) -> None:
        """Do nothing until the test is over."""
        self._stopping.wait(30)

    def drip(self, piece: str, seconds: float) -> None:
        """Send the piece again and again until nobody listens."""
        with suppress(OSError):
            while not self._stopping.wait(seconds):
                self.send(piece)


@dataclass
class ScriptedServer:
    """Runs one script for each request, the last one again and again."""

    scripts: list[Script]
    encryption: ssl.SSLContext | None = None
    url: str = ""
    requests: list[Received] = field(default_factory=list)
    connections: int = 0

    def next_script(self) -> Script:
        return self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]


@contextmanager
def serving(*scripts: Script, encryption: ssl.SSLContext | None = None) -> Iterator[ScriptedServer]:
    server = ScriptedServer(list(scripts), encryption=encryption)
    stopping = threading.Event()
    served: list[tuple[socket.socket, threading.Thread]] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        scheme = "http" if encryption is None else "https"
        server.url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        arguments = (listener, server, stopping, served)
        acceptor = threading.Thread(target=_accept, args=arguments)
        acceptor.start()
        try:
            yield server
        finally:
            stopping.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            acceptor.join(5)
            for peer, thread in served:
                with suppress(OSError):
                    peer.shutdown(socket.SHUT_RDWR)
                thread.join(5)


def _accept(
    listener: socket.socket,
    server: ScriptedServer,
    stopping: threading.Event,
    served: list[tuple[socket.socket, threading.Thread]],
) -> None:
    with suppress(OSError):
        while True:
            peer, _address = listener.accept()
            server.connections += 1
            thread = threading.Thread(target=_serve, args=(peer, server, stopping))
            served.append((peer, thread))
            thread.start()


def _serve(peer: socket.socket, server: ScriptedServer, stopping: threading.Event) -> None:
    with suppress(OSError), peer:
        peer.settimeout(5)
        if server.encryption is None:
            _answer(peer, server, stopping)
            return
        with server.encryption.wrap_socket(peer, server_side=True) as encrypted:
            _answer(encrypted, server, stopping)


def _answer(peer: socket.socket, server: ScriptedServer, stopping: threading.Event) -> None:
    with peer.makefile("rb") as stream:
        while not stopping.is_set():
            line = stream.readline().decode("latin-1").strip()
            if not line:
                return
            headers = dict(_read_headers(stream.readline))
            body = stream.read(int(headers.get("content-length", 0)))
            server.requests.append(Received(line, headers, body))
            server.next_script()(Connection(peer, stopping))
            if headers.get("connection") == "close":
                return


def _read_headers(readline: Callable[[], bytes]) -> Iterator[tuple[str, str]]:
    while line := readline().decode("latin-1").strip():
        name, _colon, value = line.partition(":")
        yield name.lower(), value.strip()
