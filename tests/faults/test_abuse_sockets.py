"""Malformed HTTP to real servers: uvicorn and gunicorn with our URLs behind them.

What a test client cannot send: broken heads, lengths that lie, chunks that are none. The server or
we refuse it; afterwards a good request is answered, and no row has changed.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from creatify_textgen.dispatch.callbacks import make_token
from creatify_textgen.models import Generation
from tests.architecture.source import ROOT
from tests.factories import make_generation
from tests.faults.processes import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

HOST = "Host: localhost\r\nConnection: close\r\n"
LENGTH = "Content-Length: 2\r\n"
PATIENCE_SECONDS = 0.5
"""A server waits for what a length promised, and we do not."""
PATHS = ("/textgen/generations/", "/textgen/media/", "{webhook}", "/textgen/generations/stream/")
HEADS = {
    "no HTTP": "hello\r\n\r\n",
    "no version": "POST {path}\r\n\r\n",
    "a version of the future": "POST {path} HTTP/9.9\r\n" + HOST + LENGTH + "\r\n{}",
    "HTTP/1.0 without a host": "POST {path} HTTP/1.0\r\n" + LENGTH + "\r\n{}",
    "bare newlines": "POST {path} HTTP/1.1\nHost: localhost\nContent-Length: 2\n\n{}",
    "no host": "POST {path} HTTP/1.1\r\n" + LENGTH + "\r\n{}",
    "two hosts": "POST {path} HTTP/1.1\r\n" + HOST + HOST + LENGTH + "\r\n{}",
    "two lengths": "POST {path} HTTP/1.1\r\n" + HOST + LENGTH + "Content-Length: 99\r\n\r\n{}",
    "a length and chunks": "POST {path} HTTP/1.1\r\n"
    + HOST
    + LENGTH
    + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a negative length": "POST {path} HTTP/1.1\r\n" + HOST + "Content-Length: -1\r\n\r\n{}",
    "a length that is none": "POST {path} HTTP/1.1\r\n" + HOST + "Content-Length: 2x\r\n\r\n{}",
    "a length beyond the body": "POST {path} HTTP/1.1\r\n" + HOST + "Content-Length: 90\r\n\r\n{}",
    "a huge length": "POST {path} HTTP/1.1\r\n"
    + HOST
    + "Content-Length: 99999999999999999999\r\n\r\n{}",
    "no length": "POST {path} HTTP/1.1\r\n" + HOST + "\r\n",
    "chunks that are none": "POST {path} HTTP/1.1\r\n"
    + HOST
    + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    "a chunk that is cut": "POST {path} HTTP/1.1\r\n"
    + HOST
    + "Transfer-Encoding: chunked\r\n\r\nff\r\n{}",
    "a huge chunk": "POST {path} HTTP/1.1\r\n"
    + HOST
    + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}",
    "a coding nobody knows": "POST {path} HTTP/1.1\r\n"
    + HOST
    + "Transfer-Encoding: nonsense\r\n\r\n{}",
    "NUL in a header": "POST {path} HTTP/1.1\r\n" + HOST + "X: a\0b\r\n" + LENGTH + "\r\n{}",
    "a header without a name": "POST {path} HTTP/1.1\r\n" + HOST + ": x\r\n" + LENGTH + "\r\n{}",
    "a header with a space": "POST {path} HTTP/1.1\r\n" + HOST + "X : y\r\n" + LENGTH + "\r\n{}",
    "a folded header": "POST {path} HTTP/1.1\r\n" + HOST + "X: y\r\n z\r\n" + LENGTH + "\r\n{}",
    "a long header": "POST {path} HTTP/1.1\r\n"
    + HOST
    + f"X: {'y' * 100_000}\r\n"
    + LENGTH
    + "\r\n{}",
    "many headers": "POST {path} HTTP/1.1\r\n" + HOST + "X: y\r\n" * 5000 + LENGTH + "\r\n{}",
    "a long path": "POST {path}" + "x" * 100_000 + " HTTP/1.1\r\n" + HOST + LENGTH + "\r\n{}",
    "an absolute path": "POST http://evil.example{path} HTTP/1.1\r\n" + HOST + LENGTH + "\r\n{}",
    "a path not ASCII": "POST {path}é HTTP/1.1\r\n" + HOST + LENGTH + "\r\n{}",
    "spaces in the path": "POST {path} x HTTP/1.1\r\n" + HOST + LENGTH + "\r\n{}",
    "a second request at once": "POST {path} HTTP/1.1\r\n"
    + HOST
    + LENGTH
    + "\r\n{}GET /textgen/credits/ HTTP/1.1\r\n"
    + HOST
    + "\r\n",
    "a tunnel": "CONNECT {path} HTTP/1.1\r\n" + HOST + "\r\n",
    "another protocol": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}
COMMANDS = {
    "uvicorn": ["uvicorn", "django.core.asgi:get_asgi_application", "--factory", "--lifespan=off"],
    "gunicorn": [
        "gunicorn",
        "django.core.wsgi:get_wsgi_application()",
        "--threads=4",
        "--no-control-socket",
    ],
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    return exchange(port, f"GET /textgen/credits/ HTTP/1.1\r\n{HOST}\r\n")[:1] == [403]


def exchange(port: int, text: str) -> list[int]:
    """Send bytes and return the statuses of what comes back before we hang up; none is fine."""
    received = b""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as connection,
        suppress(ConnectionError, TimeoutError),
    ):
        connection.sendall(text.encode("utf-8"))
        while block := connection.recv(65536):
            received += block
    lines = received.split(b"\r\n")
    return [int(line.split()[1]) for line in lines if line.startswith(b"HTTP/1.")]


@pytest.fixture(params=list(COMMANDS))
def port(
    request: pytest.FixtureRequest, host_environment: dict[str, str], tmp_path: Path
) -> Iterator[int]:
    """Serve the host project with a real server and give its port."""
    number = free_port()
    place = [f"--bind=127.0.0.1:{number}"] if request.param == "gunicorn" else [f"--port={number}"]
    command = [sys.executable, "-m", *COMMANDS[request.param], *place, "--log-level=warning"]
    with (
        (tmp_path / "words").open("wb") as words,
        subprocess.Popen(
            command, cwd=ROOT, env=host_environment, stdout=words, stderr=words
        ) as process,
    ):
        wait_until(lambda: listens(number))
        yield number
        process.terminate()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return not probe.connect_ex(("127.0.0.1", port))


def test_takes_malformed_requests(port: int) -> None:
    row = make_generation(status="pending", remote_id="r1")
    webhook = f"/textgen/webhooks/{row.pk}/{uuid.uuid4().hex}/"
    assert webhook != f"/textgen/webhooks/{row.pk}/{make_token(row.pk)}/"
    before = list(Generation.objects.values())
    failed = []
    for name, head in HEADS.items():
        for path in PATHS:
            statuses = exchange(port, head.replace("{path}", path.replace("{webhook}", webhook)))
            # 501 and 505 are a server's words for what it has no part for.
            if any(status in (500, 502, 503, 504) for status in statuses):
                failed.append((name, path, statuses))
    assert failed == []
    assert answers(port)
    assert list(Generation.objects.values()) == before
