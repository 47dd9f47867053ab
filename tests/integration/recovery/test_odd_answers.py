"""Odd answers to a create that the remote accepted: each is one POST, and its result is found."""

from __future__ import annotations

from decimal import Decimal

import pytest

from creatify_textgen.states import Status
from tests.integration.recovery.test_written_ids import ID, PATH, Remote, remote, send, sweep
from tests.integration.remote.server import Connection

__all__ = ["remote"]

pytestmark = pytest.mark.django_db

BODY = f'{{"id": "{ID}", "status": "pending", "credits_used": 0}}'
SIZE = f"Content-Length: {len(BODY)}\r\n"
CHUNKED = "201 Created\r\nTransfer-Encoding: chunked\r\n"
ANSWERS = {
    "another protocol": "101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
    "an interim one alone": "103 Early Hints\r\n\r\n",
    "interim ones first": f"100 Go\r\n\r\nHTTP/1.1 103 Go\r\n\r\nHTTP/1.1 201 C\r\n\r\n{BODY}",
    "accepted": f"202 Accepted\r\n{SIZE}\r\n{BODY}",
    "nothing": "204 No Content\r\n\r\n",
    "see other": f"303 See Other\r\nLocation: {PATH}{ID}/\r\nContent-Length: 0\r\n\r\n",
    "not modified": "304 Not Modified\r\n\r\n",
    "conflict": "409 Conflict\r\nContent-Length: 0\r\n\r\n",
    "no such status": "999 Whatever\r\nContent-Length: 0\r\n\r\n",
    "too short a length": f"201 Created\r\nContent-Length: 20\r\n\r\n{BODY}",
    "two lengths": f"201 Created\r\n{SIZE}Content-Length: 5\r\n\r\n{BODY}",
    "no number as length": f"201 Created\r\nContent-Length: -x\r\n\r\n{BODY}",
    "no number as chunk": f"{CHUNKED}\r\nzz\r\n{BODY}\r\n0\r\n\r\n",
    "a chunk that is cut": f"{CHUNKED}\r\n{len(BODY):x}\r\n{BODY[:20]}",
    "no last chunk": f"{CHUNKED}\r\n{len(BODY):x}\r\n{BODY}\r\n",
    "chunks and a length": f"{CHUNKED}Content-Length: 3\r\n\r\n{len(BODY):x}\r\n{BODY}\r\n0\r\n",
    "no gzip": f"201 Created\r\nContent-Encoding: gzip\r\n{SIZE}\r\n{BODY}",
    "a list as id": '201 Created\r\n\r\n{"id": ["x"], "status": "pending"}',
    "a page": f"200 OK\r\nContent-Type: text/html\r\n\r\n<html>{BODY}</html>",
    "two lines": f"200 OK\r\n\r\n{BODY}\n{BODY}\n",
    "an event": f"200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {BODY}\n\n",
    "a head without end": f"201 Created\r\nX-A: {'a' * 70_000}\r\n\r\n{BODY}",
    "too many lines": "201 Created\r\n" + "X-A: b\r\n" * 300 + f"\r\n{BODY}",
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=list(ANSWERS))
def test_is_paid_once_and_found(remote: Remote, answer: str) -> None:
    def accept(connection: Connection) -> None:
        connection.send(f"HTTP/1.1 {answer}")
        connection.end()

    remote.on_create = accept
    send()
    sweep()
    row = sweep()
    assert (remote.creates, row.status) == (1, Status.DONE)
    assert (row.remote_id, row.credits_used) == (ID, Decimal("0.5"))
