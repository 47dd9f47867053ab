"""Chunks per second through `services.stream()` from a local server, with `memory://`.

The same run also measures a plain split and `json.loads` of the same bytes, and the client without
the app. The server is a separate process that sends as fast as it can.

    python benchmarks/streaming_chunks.py [--rounds 5]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import socket
import threading
import time

from benchmarks.site import set_up

set_up()

from django.conf import settings  # noqa: E402

from creatify_textgen import gateway, services  # noqa: E402
from creatify_textgen.remote import GenerationRequest  # noqa: E402

CHUNKS = 20_000


def chunk(number: int) -> dict[str, object]:
    return {
        "candidates": [
            {"content": {"role": "model", "parts": [{"text": f"word {number} "}]}, "index": 0}
        ],
        "usageMetadata": {"promptTokenCount": 18, "totalTokenCount": 18 + number},
        "modelVersion": "gemini-2.5-flash",
        "responseId": "r1",
    }


def stream_bytes() -> bytes:
    last = chunk(CHUNKS) | {"creatify": {"id": "a1b2c3d4", "credits_used": 0.0005}}
    chunks = [*map(chunk, range(CHUNKS - 1)), last]
    return b"".join(b"data: " + json.dumps(c).encode() + b"\n\n" for c in chunks)


def serve(ports: multiprocessing.SimpleQueue[int]) -> None:
    """Answer each connection with the same stream, in a separate process."""
    body = stream_bytes()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ports.put(listener.getsockname()[1])
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=answer, args=[connection, head + body], daemon=True).start()


def answer(connection: socket.socket, message: bytes) -> None:
    with connection:
        connection.recv(65536)
        connection.sendall(message)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass


def bare_seconds(body: bytes) -> float:
    started = time.perf_counter()
    for event in body.split(b"\n\n")[:-1]:
        json.loads(event[6:])
    return time.perf_counter() - started


def client_seconds() -> float:
    request = GenerationRequest("gemini-2.5-flash", [{"role": "user", "content": "Hello"}])
    started = time.perf_counter()
    with gateway.client_for("default").stream(request) as chunks:
        assert sum(1 for chunk in chunks if chunk.text) == CHUNKS
    return time.perf_counter() - started


def stream_seconds() -> float:
    started = time.perf_counter()
    with services.stream("Hello") as session:
        text = "".join([chunk.text for chunk in session])
    seconds = time.perf_counter() - started
    assert text == session.generation.content.response_text, session.error_message
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    ports: multiprocessing.SimpleQueue[int] = multiprocessing.SimpleQueue()
    server = multiprocessing.Process(target=serve, args=[ports], daemon=True)
    server.start()
    account = {"API_ID": "i", "API_KEY": "k", "BASE_URL": f"http://127.0.0.1:{ports.get()}"}
    settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": account}}
    body = stream_bytes()
    for _ in range(rounds):
        bare = CHUNKS / bare_seconds(body)
        client = CHUNKS / client_seconds()
        typed = CHUNKS / stream_seconds()
        print(
            f"bare {bare:,.0f}/s, client {client:,.0f}/s ({client / bare:.2f}), "
            f"stream() {typed:,.0f}/s ({typed / bare:.2f})"
        )
    server.kill()


if __name__ == "__main__":
    main()
