"""The transport over real sockets: framing, keep-alive, sizes, malformed requests."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from urllib.parse import urlsplit

import pytest

from creatify_textgen.emulator import Emulator
from tests.integration.emulator.calling import (
    COLLECTION,
    KEYS,
    PATIENCE,
    Caller,
    eventually,
    request_with,
)


@pytest.fixture
def connection(emulator: Emulator) -> socket.socket:
    address = urlsplit(emulator.url)
    return socket.create_connection((str(address.hostname), address.port), timeout=PATIENCE)


def raw_request(*, body: bytes, headers: str = "", method: str = "POST") -> bytes:
    keys = "".join(f"{name}: {value}\r\n" for name, value in KEYS.items())
    length = f"Content-Length: {len(body)}\r\n" if "chunked" not in headers else ""
    head = f"{method} {COLLECTION} HTTP/1.1\r\nHost: [::1]\r\nContent-Type: application/json\r\n"
    return f"{head}{keys}{length}{headers}\r\n".encode() + body


def answers(connection: socket.socket, *, count: int) -> list[int]:
    """Read whole answers off a connection and return their statuses."""
    statuses = []
    with connection, connection.makefile("rb") as stream:
        for _ in range(count):
            statuses.append(int(stream.readline().split()[1]))
            length = 0
            while (line := stream.readline()) not in (b"\r\n", b""):
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            stream.read(length)
    return statuses


class TestConnection:
    def test_serves_many_requests(self, emulator: Emulator, caller: Caller) -> None:
        assert [caller.create().status for _ in range(20)] == [201] * 20
        assert emulator.counters["creates"] == 20

    def test_serves_requests_sent_ahead(self, connection: socket.socket) -> None:
        connection.sendall(raw_request(body=json.dumps(request_with()).encode()) * 3)
        assert answers(connection, count=3) == [201] * 3

    def test_takes_a_request_byte_by_byte(self, connection: socket.socket) -> None:
        for byte in raw_request(body=json.dumps(request_with()).encode()):
            connection.sendall(bytes([byte]))
        assert answers(connection, count=1) == [201]

    def test_takes_chunked_bodies(self, connection: socket.socket) -> None:
        body = json.dumps(request_with()).encode()
        chunks = b"".join(b"%x\r\n%b\r\n" % (1, body[i : i + 1]) for i in range(len(body)))
        chunked = "Transfer-Encoding: chunked\r\n"
        connection.sendall(raw_request(body=chunks + b"0\r\n\r\n", headers=chunked))
        assert answers(connection, count=1) == [201]

    def test_says_continue_when_asked(self, connection: socket.socket) -> None:
        body = json.dumps(request_with()).encode()
        request = raw_request(body=body, headers="Expect: 100-continue\r\n")
        connection.sendall(request[: -len(body)])
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert answers(connection, count=1) == [201]

    def test_closes_when_asked(self, emulator: Emulator) -> None:
        address = urlsplit(emulator.url)
        connection = http.client.HTTPConnection(str(address.hostname), address.port)
        connection.request("GET", COLLECTION, headers={**KEYS, "Connection": "close"})
        answer = connection.getresponse()
        assert (answer.status, answer.will_close) == (200, True)
        answer.read()
        connection.close()

    @pytest.mark.parametrize(
        ("raw", "status"),
        [
            (b"nonsense\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\n" + b"x" * 70_000, 400),
            (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
            (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        ],
        ids=["line", "header", "long", "length", "chunk"],
    )
    def test_refuses_what_is_not_http(
        self, connection: socket.socket, raw: bytes, status: int
    ) -> None:
        connection.sendall(raw)
        assert answers(connection, count=1) == [status]

    def test_refuses_too_much(
        self, connection: socket.socket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("creatify_textgen.emulator.requests.bodies.TOTAL_LIMIT", 1_000)
        connection.sendall(raw_request(body=b"x" * 2_000))
        assert answers(connection, count=1) == [413]


class TestEmulator:
    def test_starts_and_stops_twice(self) -> None:
        emulator = Emulator()
        assert emulator.start().start() is emulator
        emulator.stop()
        emulator.stop()

    def test_stops_with_streams_and_sync_calls_open(self) -> None:
        with Emulator(stuck=True) as emulator:
            connection = socket.create_connection(
                (urlsplit(emulator.url).hostname, urlsplit(emulator.url).port)
            )
            body = json.dumps(request_with(sync=True)).encode()
            connection.sendall(raw_request(body=body))
            assert eventually(lambda: bool(emulator.generations))
        with connection:
            assert connection.recv(100) == b""

    def test_stops_with_connections_made_just_now(self) -> None:
        with Emulator() as emulator:
            address = (urlsplit(emulator.url).hostname, urlsplit(emulator.url).port)
            connections = [socket.create_connection(address) for _ in range(20)]
        for connection in connections:
            with connection, contextlib.suppress(ConnectionError):
                assert connection.recv(100) == b""

    def test_says_so_when_the_port_is_taken(self, emulator: Emulator) -> None:
        port = urlsplit(emulator.url).port
        with pytest.raises(OSError, match="address already in use"):
            Emulator(port=port or 0).start()
