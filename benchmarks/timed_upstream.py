"""The sender for `streaming_latency`: chunks at a fixed interval that contain their send time.

Runs in a separate process with one thread per connection. Times are from the monotonic clock, which
all processes of a machine share.
"""

from __future__ import annotations

import json
import multiprocessing
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CREDITS = 0.0005


class Upstream(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 0
    disable_nagle_algorithm = True
    chunks = 0
    interval = 0.0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        begun = time.monotonic()
        for number in range(1, self.chunks + 1):
            time.sleep(max(begun + self.interval * (number - 1) - time.monotonic(), 0))
            self._send(number)
        self.wfile.write(b"0\r\n\r\n")

    def _send(self, number: int) -> None:
        parts = [{"text": f"[{number}@{time.monotonic_ns()}] "}]
        chunk: dict[str, Any] = {
            "candidates": [{"content": {"role": "model", "parts": parts}, "index": 0}]
        }
        if number == self.chunks:
            chunk["creatify"] = {"id": f"{time.monotonic_ns()}", "credits_used": CREDITS}
        event = f"data: {json.dumps(chunk)}\n\n".encode()
        self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))

    def log_message(self, *args: Any) -> None:
        pass


def serve(ports: multiprocessing.SimpleQueue[int], *, chunks: int, interval: float) -> None:
    """Answer each POST with a stream, and report the port."""
    Upstream.chunks, Upstream.interval = chunks, interval
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    server.daemon_threads = True
    ports.put(server.server_address[1])
    server.serve_forever()
