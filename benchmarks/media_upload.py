"""Sending a 100 MB video from a file: time compared with curl, and memory.

curl posts the finished JSON from a file. The client reads the video, encodes it and posts it. Both
send to a server that only counts bytes, and to the emulator, which reads, parses and checks them.
Aims: at most 1.5 x curl's time, and at most 16 MB of additional memory.

    python benchmarks/media_upload.py [--megabytes 100] [--rounds 5]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from creatify_textgen.remote import Credentials, GenerationRequest, RemoteClient, Timeouts
from creatify_textgen.remote.protocol import build_create

CREDENTIALS = ("benchmark-id", "benchmark-key")
ANSWER = json.dumps({"id": "a1b2c3d4-5678-90ab-cdef-1234567890ab", "status": "pending"})
# The first bytes identify a video. The rest can be anything.
MP4_START = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"
SINK = "--sink"
ONE_UPLOAD = "--one-upload"


@dataclass(frozen=True)
class StoredVideo:
    """A file, as a storage returns it."""

    path: Path

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def open(self) -> BinaryIO:
        return self.path.open("rb")


def make_request(video: Path) -> GenerationRequest:
    part = {"type": "video", "mime_type": "video/mp4", "data": StoredVideo(video)}
    return GenerationRequest(
        model_name="gemini-2.5-flash", messages=[{"role": "user", "content": [part]}]
    )


def upload_by_client(video: Path, url: str) -> float:
    """Return the seconds of one create."""
    client = RemoteClient(Credentials(*CREDENTIALS, url), timeouts=Timeouts(read=120))
    started = time.perf_counter()
    client.create(make_request(video))
    return time.perf_counter() - started


def upload_by_curl(body: Path, url: str) -> float:
    """Return the seconds that curl takes to read the finished body and post it."""
    headers = ["Content-Type: application/json", "Expect:"]
    headers += [f"X-API-ID: {CREDENTIALS[0]}", f"X-API-KEY: {CREDENTIALS[1]}"]
    started = time.perf_counter()
    subprocess.run(
        [
            *("curl", "--silent", "--show-error", "--fail", "--output", os.devnull),
            *(word for header in headers for word in ("--header", header)),
            *("--data-binary", f"@{body}"),
            f"{url}/sse/text_generator/",
        ],
        check=True,
    )
    return time.perf_counter() - started


def print_one_upload(video: Path, url: str) -> None:
    """Run in a separate process. A small upload comes first, so that only the video adds memory."""
    with tempfile.NamedTemporaryFile(suffix=".mp4") as small:
        Path(small.name).write_bytes(MP4_START)
        upload_by_client(Path(small.name), url)
    # Resets the peak in Linux, which the imports had raised.
    Path("/proc/self/clear_refs").write_text("5")
    before = read_memory("VmRSS")
    upload_by_client(video, url)
    print(read_memory("VmHWM") - before)


def read_memory(name: str) -> float:
    """Return a figure of this process in MB."""
    found = re.search(rf"{name}:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return int(found.group(1)) / 1024 if found else float("nan")


def serve_sink() -> None:
    """Read requests to their end, keep nothing, and answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        buffer = bytearray(1024 * 1024)
        while True:
            peer, _address = listener.accept()
            with peer, contextlib.suppress(OSError):
                read_request(peer, buffer)
                head = f"HTTP/1.1 201 Created\r\nContent-Length: {len(ANSWER)}\r\n"
                peer.sendall(f"{head}Connection: close\r\n\r\n{ANSWER}".encode())


def read_request(peer: socket.socket, buffer: bytearray) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        head += peer.recv(65536)
    head, _blank, rest = head.partition(b"\r\n\r\n")
    announced = re.search(rb"(?i)content-length: *(\d+)", head)
    left = (int(announced.group(1)) if announced else 0) - len(rest)
    while left > 0:
        count = peer.recv_into(buffer)
        if not count:
            raise ConnectionError
        left -= count


@contextlib.contextmanager
def serving(*command: str) -> Iterator[str]:
    """Start a server that prints its URL, and yield the URL."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            yield line.split()[-1]
        finally:
            process.terminate()


def compare(name: str, url: str, *, video: Path, body: Path, rounds: int) -> None:
    pairs = [(upload_by_curl(body, url), upload_by_client(video, url)) for _ in range(rounds)]
    curl, client = (statistics.median(times) for times in zip(*pairs, strict=True))
    finished = subprocess.run(
        [sys.executable, __file__, ONE_UPLOAD, str(video), url],
        capture_output=True,
        text=True,
        check=True,
    )
    print(
        f"{name:10} curl {curl:.2f} s  client {client:.2f} s  ratio {client / curl:.2f}  "
        f"added memory {float(finished.stdout):.1f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if shutil.which("curl") is None:
        raise SystemExit("This benchmark needs curl.")
    with tempfile.TemporaryDirectory() as folder:
        video, body = Path(folder, "video.mp4"), Path(folder, "body.json")
        size = options.megabytes * 1024 * 1024
        video.write_bytes(MP4_START + os.urandom(size - len(MP4_START)))
        with body.open("wb") as stream:
            stream.writelines(build_create(make_request(video)))
        print(f"{options.megabytes} MB of video, median of {options.rounds}")
        servers = {
            "sink": (sys.executable, __file__, SINK),
            "emulator": (sys.executable, "-m", "creatify_textgen.emulator"),
        }
        for name, command in servers.items():
            with serving(*command) as url:
                compare(name, url, video=video, body=body, rounds=options.rounds)


if __name__ == "__main__":
    if sys.argv[1:2] == [SINK]:
        serve_sink()
    elif sys.argv[1:2] == [ONE_UPLOAD]:
        print_one_upload(Path(sys.argv[2]), sys.argv[3])
    else:
        main()
