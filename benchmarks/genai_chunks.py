"""Chunks per second through `services.stream()`, compared with the google-genai SDK.

A local server in a separate process sends both the same chunks as fast as it can. Each client uses
its own path and protocol; only ours has a `creatify` object in the last chunk. The text of each
chunk is read. The run also measures a plain split and `json.loads` of the same bytes. google-genai
needs the extra `bench`.

    python -m benchmarks.genai_chunks [--chunks 20000] [--rounds 7]
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import socket
import statistics
import threading
import time
import uuid
from collections.abc import Callable

from benchmarks.site import set_up

set_up()

from django.conf import settings  # noqa: E402
from google import genai  # noqa: E402

from creatify_textgen import services  # noqa: E402

MODEL = "gemini-2.5-flash"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


def chunk(number: int) -> dict[str, object]:
    return {
        "candidates": [
            {"content": {"role": "model", "parts": [{"text": f"word {number} "}]}, "index": 0}
        ],
        "usageMetadata": {"promptTokenCount": 18, "totalTokenCount": 18 + number},
        "modelVersion": MODEL,
        "responseId": "r1",
    }


def event(answer: dict[str, object]) -> bytes:
    return b"data: " + json.dumps(answer).encode() + b"\r\n\r\n"


def events(count: int) -> list[bytes]:
    return [event(chunk(number)) for number in range(count)]


def serve(ports: multiprocessing.SimpleQueue[int], count: int) -> None:
    """Answer each request with the stream of its protocol, in a separate process."""
    *most, last = events(count)
    body = HEAD + b"".join(most)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ports.put(listener.getsockname()[1])
        while True:
            connection, _ = listener.accept()
            work = threading.Thread(target=answer, args=[connection, body, last], daemon=True)
            work.start()


def answer(connection: socket.socket, body: bytes, last: bytes) -> None:
    with connection:
        request = connection.recv(65536)
        if b":streamGenerateContent" not in request.partition(b"\r\n")[0]:
            receipt = {"id": str(uuid.uuid4()), "credits_used": 0.0005}
            last = event(json.loads(last[6:]) | {"creatify": receipt})
        connection.sendall(body)
        connection.sendall(last)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass


def read_bare(body: bytes) -> str:
    texts = []
    for piece in body.split(b"\r\n\r\n")[:-1]:
        content = json.loads(piece[6:])["candidates"][0]["content"]
        texts.append(content["parts"][0]["text"])
    return "".join(texts)


def read_ours() -> str:
    with services.stream("Hello") as session:
        return "".join([piece.text for piece in session])


def read_google(client: genai.Client) -> str:
    pieces = client.models.generate_content_stream(model=MODEL, contents="Hello")
    return "".join([piece.text or "" for piece in pieces])


def rates(read: Callable[[], str], *, count: int, expected: str) -> tuple[float, float]:
    """Return chunks per second, and per second of this process's CPU time."""
    started, used = time.perf_counter(), time.process_time()
    text = read()
    seconds, used = time.perf_counter() - started, time.process_time() - used
    assert text == expected
    return count / seconds, count / used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    count = options.chunks
    ports: multiprocessing.SimpleQueue[int] = multiprocessing.SimpleQueue()
    server = multiprocessing.Process(target=serve, args=[ports, count], daemon=True)
    server.start()
    base = f"http://127.0.0.1:{ports.get()}"
    account = {"API_ID": "i", "API_KEY": "k", "BASE_URL": base}
    settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": account}}
    client = genai.Client(api_key="k", http_options={"base_url": base})
    body = b"".join(events(count))
    expected = read_bare(body)
    # For both sides, as in the example project: exclude what is loaded from collections.
    gc.collect()
    gc.freeze()
    ratios, cpu_ratios = [], []
    for turn in range(options.rounds + 1):
        bare, _ = rates(lambda: read_bare(body), count=count, expected=expected)
        ours, our_cpu = rates(read_ours, count=count, expected=expected)
        google, their_cpu = rates(lambda: read_google(client), count=count, expected=expected)
        print(
            f"bare {bare:,.0f}/s, stream() {ours:,.0f}/s, google-genai {google:,.0f}/s: "
            f"{ours / google:.1f}; in CPU time {our_cpu / their_cpu:.1f}",
            flush=True,
        )
        if turn:  # the first warms up
            ratios.append(ours / google)
            cpu_ratios.append(our_cpu / their_cpu)
    server.kill()
    print(
        f"stream() / google-genai {genai.__version__}: median {statistics.median(ratios):.1f}, "
        f"from {min(ratios):.1f} to {max(ratios):.1f} (at least 8); "
        f"in CPU time {statistics.median(cpu_ratios):.1f}"
    )


if __name__ == "__main__":
    main()
