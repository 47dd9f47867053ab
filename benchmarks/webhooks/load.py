"""Sends the requests that standard input lists over keep-alive connections, and prints the time.

Runs in a separate process for `webhook_receipt`. Each line of input is a whole HTTP request in
base64. It uses raw sockets, because an HTTP library would be slower than the servers.

    python benchmarks/webhooks/load.py PORT CONNECTIONS < requests
"""

from __future__ import annotations

import base64
import re
import socket
import sys
import threading
import time

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def send_all(port: int, requests: list[bytes]) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for request in requests:
            connection.sendall(request)
            read_answer(connection, request.partition(b"\r\n")[0])


def read_answer(connection: socket.socket, request_line: bytes) -> None:
    """Read the whole answer. Its body has a length and is never chunked."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += receive(connection, request_line)
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith((b"HTTP/1.1 204", b"HTTP/1.1 200")):
        raise SystemExit(f"{request_line!r} was answered {head[:60]!r}")
    length = LENGTH.search(head)
    missing = int(length[1]) - len(body) if length else 0
    while missing > 0:
        missing -= len(receive(connection, request_line))


def receive(connection: socket.socket, request_line: bytes) -> bytes:
    received = connection.recv(4096)
    if not received:
        raise SystemExit(f"The server hung up on {request_line!r}.")
    return received


def main() -> None:
    port, connections = int(sys.argv[1]), int(sys.argv[2])
    requests = [base64.b64decode(line) for line in sys.stdin.read().split()]
    threads = [
        threading.Thread(target=send_all, args=(port, requests[index::connections]))
        for index in range(connections)
    ]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main()
