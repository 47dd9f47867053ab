"""Many readers at once in one ASGI process, with frames in Redis.

Publishes frames for some generations at a fixed interval, like pumps, and reads them over real
sockets from uvicorn. Prints the times between frames as readers receive them, and the memory that
the server needs per reader.

    python -m benchmarks.streaming_readers [--readers 800] [--generations 50] [--interval 0.05]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import multiprocessing
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

from benchmarks.site import set_up

set_up()

import requests  # noqa: E402
from django.conf import settings  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.db import connections  # noqa: E402
from django.test import Client  # noqa: E402
from django.utils import timezone  # noqa: E402

from creatify_textgen.models import Generation, GenerationContent  # noqa: E402
from creatify_textgen.streams.hub import END, START, Position, chunk_frame, get_hub, word_frame  # noqa: E402

REDIS = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/9")
PORT = 18765
CHUNK = (
    '{"candidates":[{"content":{"role":"model","parts":[{"text":"%s"}]},"index":0}],'
    '"usageMetadata":{"promptTokenCount":18,"totalTokenCount":18},'
    '"modelVersion":"gemini-2.5-flash","responseId":"r1"}'
)


def make_users(count: int) -> list[tuple[User, str]]:
    made = []
    for number in range(count):
        user = User.objects.create_user(f"reader-{number}")
        client = Client()
        client.force_login(user)
        made.append((user, client.cookies["sessionid"].value))
    return made


def make_generation(user: User) -> uuid.UUID:
    now = timezone.now()
    row = Generation.objects.create(
        owner=user, mode="stream", status="running", due_at=now, model_name="gemini"
    )
    GenerationContent.objects.create(generation=row, messages=[])
    return row.pk


def publish(ids: list[str], interval: float, seconds: float, begin_at: float) -> None:
    """Publish a frame to each stream once per interval, in a separate process."""
    settings.CREATIFY_TEXTGEN = {"STREAM_BACKEND": REDIS}
    hub = get_hub()
    positions = dict.fromkeys(ids, START)
    tick = begin_at
    while tick < begin_at + seconds:
        for index, stream in enumerate(ids):
            due = tick + interval * index / len(ids)
            time.sleep(max(due - time.time(), 0))
            here = positions[stream]
            end = positions[stream] = Position(here.number + 1, here.text + 13)
            hub.publish(stream, [chunk_frame(here, end, CHUNK % f"{time.time():013.2f}")])
        tick += interval
    for stream in ids:
        hub.publish(stream, [word_frame(positions[stream], END, {"status": "done"})])
    hub.close()


async def read(path: str, cookie: str, gaps: list[float]) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: sessionid={cookie}\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 200 " in head, head
    count, last = 0, 0.0
    while piece := await reader.read(65536):
        frames = piece.count(b'\ndata: {"cand')
        now = time.perf_counter()
        if frames:
            if last:
                gaps.append(now - last)
                gaps.extend([0.0] * (frames - 1))
            last = now
            count += frames
        if b"event: end" in piece:
            break
    writer.close()
    return count


async def read_all(
    paths: list[tuple[str, str]], process_id: int
) -> tuple[list[float], int, int, float]:
    gaps: list[float] = []
    tasks = []
    for path, cookie in paths:
        tasks.append(asyncio.create_task(read(path, cookie, gaps)))
        await asyncio.sleep(0.004)
    await asyncio.sleep(1)
    memory, used = resident_kilobytes(process_id), processor_seconds(process_id)
    counts = await asyncio.gather(*tasks)
    used = processor_seconds(process_id) - used
    return gaps, sum(counts), memory, used


def resident_kilobytes(process_id: int) -> int:
    status = Path(f"/proc/{process_id}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def warm_up(path: str, cookie: str) -> None:
    """Make the server import and connect what a reader needs, before its memory is measured."""
    url = f"http://127.0.0.1:{PORT}{path}?after=end"
    for _ in range(20):
        answer = requests.get(url, cookies={"sessionid": cookie}, timeout=10)
        assert answer.status_code == 204, answer.text


def processor_seconds(process_id: int) -> float:
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def serve() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "uvicorn", "benchmarks.streaming_site:application"]
    options = ["--port", str(PORT), "--log-level", "warning", "--lifespan", "off"]
    environment = os.environ | {"BENCH_STREAM_BACKEND": REDIS}
    return subprocess.Popen([*command, *options], env=environment)


def share(gaps: list[float], part: float) -> str:
    return f"{sorted(gaps)[int(len(gaps) * part)] * 1000:.0f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=800)
    parser.add_argument("--generations", type=int, default=50)
    parser.add_argument("--interval", type=float, default=0.05)
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    # One user per generation, because a user may have only 20 readers.
    users = make_users(options.generations)
    rows = [(make_generation(user), cookie) for user, cookie in users]
    paths = [
        (f"/textgen/generations/{pk}/stream/", cookie)
        for pk, cookie in itertools.islice(itertools.cycle(rows), options.readers)
    ]
    connections.close_all()
    server = serve()
    try:
        time.sleep(3)
        warm_up(*paths[0])
        before = resident_kilobytes(server.pid)
        begin_at = time.time() + 2 + options.readers * 0.008
        publisher = multiprocessing.Process(
            target=publish,
            args=[[str(pk) for pk, _ in rows], options.interval, options.seconds, begin_at],
        )
        publisher.start()
        gaps, count, after, used = asyncio.run(read_all(paths, server.pid))
        publisher.join()
    finally:
        server.terminate()
        server.wait()
    expected = options.readers * int(options.seconds / options.interval)
    print(
        f"{options.readers} readers of {options.generations} generations: {count} of {expected} "
        f"frames; gap p50 {share(gaps, 0.5)}, p95 {share(gaps, 0.95)}, p99 {share(gaps, 0.99)} "
        f"(upstream {options.interval * 1000:.0f} ms); "
        f"{(after - before) / options.readers:.0f} KB a reader; "
        f"{used / count * 1e6:.0f} µs of the server a frame"
    )


if __name__ == "__main__":
    main()
