"""A caller of the emulator over one keep-alive connection, and a receiver of webhooks."""

from __future__ import annotations

import http.client
import json
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

from creatify_textgen.emulator import Emulator

COLLECTION = "/sse/text_generator/"
STREAM = "/sse/text_generator/stream/"
CREDITS = "/api/remaining_credits/"
KEYS = {"X-API-ID": "one", "X-API-KEY": "secret-of-one"}
PATIENCE = 10


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Caller:
    """Calls with keys, JSON in, `Reply` out; reconnects when the connection was closed."""

    def __init__(self, emulator: Emulator, *, keys: Mapping[str, str] = KEYS) -> None:
        self._address = urlsplit(emulator.url)
        self._keys = keys
        self._connection = self._connect()

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._address.hostname, self._address.port
        return http.client.HTTPConnection(str(host), port, timeout=PATIENCE)

    def call(
        self, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **self._keys, **(headers or {})}
        self._connection.request(method, path, body=raw, headers=sent)
        answer = self._connection.getresponse()
        return Reply(answer.status, dict(answer.headers), answer.read())

    def get(self, path: str, **more: Any) -> Reply:
        return self.call("GET", path, **more)

    def post(self, path: str, *, body: Any = None, **more: Any) -> Reply:
        return self.call("POST", path, body=body, **more)

    def create(self, **fields: Any) -> Reply:
        return self.post(COLLECTION, body=request_with(**fields))

    def detail(self, generation_id: str) -> Reply:
        return self.get(f"{COLLECTION}{generation_id}/")

    def close(self) -> None:
        self._connection.close()


class Receiver:
    """Receives webhooks and answers them with `status`."""

    def __init__(self) -> None:
        self.deliveries: queue.Queue[dict[str, Any]] = queue.Queue()
        self.status = 204
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                payload = json.loads(self.rfile.read(length))
                receiver.deliveries.put(payload)
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/hook/?token=t"

    def next(self) -> dict[str, Any]:
        return self.deliveries.get(timeout=PATIENCE)


def request_with(content: Any = "Write a short tagline.", **fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": content}]
    return {"model_name": "gemini-2.5-flash", "messages": messages, **fields}


def eventually(condition: Callable[[], bool]) -> bool:
    """Return whether the condition comes true before patience ends."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True
