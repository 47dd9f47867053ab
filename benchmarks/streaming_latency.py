"""What the app adds to the delay of a stream, compared with a minimal relay in gunicorn threads.

The app is complete: the example project in gunicorn threads, like the relay, and in uvicorn, with
one Celery worker and one Redis. Each chunk contains the time at which it was sent. The first frame
is timed from the client's request, and each later frame from the sending of its chunk. Prints the
percentiles and their differences.

    python -m benchmarks.streaming_latency [--pairs 100] [--chunks 10] [--interval 0.05]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.site import set_up
from benchmarks.timed_upstream import serve

set_up()

from django.conf import settings  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.models import QuerySet  # noqa: E402
from django.test import Client  # noqa: E402

from creatify_textgen.models import Generation  # noqa: E402
from tests.databases import url_of_database  # noqa: E402
from tests.deployment import Web, Worker  # noqa: E402
from tests.faults.processes import OwnRedis, wait_until  # noqa: E402

BODY = b'{"messages":"Tell me of the sea.","model_name":"gemini-2.5-flash"}'
FRAME = re.compile(rb"\[(\d+)@(\d+)\]")
WARM_UPS = 5
THREADS = ["--worker-class", "gthread", "--threads", "8", "--log-level", "error"]
THREADS += ["--no-control-socket"]


class Target(NamedTuple):
    """The address of a server, and the request for it."""

    port: int
    path: str
    headers: str = ""


class Delays(NamedTuple):
    """Delays in milliseconds, as the client measures them."""

    first: list[float]
    """From the request to the first frame."""
    following: list[float]
    """From the send of a chunk to its arrival."""


def read_stream(target: Target, *, chunks: int, delays: Delays) -> None:
    """Request one stream and record when each frame arrived."""
    host = f"127.0.0.1:{target.port}"
    head = (
        f"POST {target.path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(BODY)}\r\nConnection: close\r\n{target.headers}\r\n"
    )
    seen, text = 0, b""
    begun = time.monotonic_ns()
    with socket.create_connection(("127.0.0.1", target.port), timeout=20) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.sendall(head.encode() + BODY)
        while piece := line.recv(65536):
            now = time.monotonic_ns()
            text += piece
            for number, sent in FRAME.findall(text)[seen:]:
                seen += 1
                assert int(number) == seen, text
                if seen == 1:
                    delays.first.append((now - begun) / 1e6)
                else:
                    delays.following.append((now - int(sent)) / 1e6)
    assert seen == chunks, text


@contextmanager
def upstream(options: argparse.Namespace) -> Iterator[str]:
    """Run the sender until the block ends; yield its address."""
    ports: multiprocessing.SimpleQueue[int] = multiprocessing.SimpleQueue()
    pace = {"chunks": options.chunks, "interval": options.interval}
    process = multiprocessing.Process(target=serve, args=[ports], kwargs=pace)
    process.start()
    try:
        yield f"http://127.0.0.1:{ports.get()}"
    finally:
        process.kill()
        process.join()


@contextmanager
def relay(upstream_url: str) -> Iterator[Target]:
    """Run the minimal relay until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "benchmarks.bare_relay:application"]
    command += [*THREADS, "--bind", f"127.0.0.1:{port}"]
    environment = os.environ | {"UPSTREAM": f"{upstream_url}/stream/"}
    with subprocess.Popen(command, env=environment) as process:
        try:
            wait_until(lambda: _listens(port))
            yield Target(port, "/")
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return not probe.connect_ex(("127.0.0.1", port))


class ThreadedWeb(Web):
    """gunicorn with threads instead of uvicorn."""

    def __init__(self, name: str, *, environment: Mapping[str, str], folder: Path) -> None:
        super().__init__(name, environment=environment, folder=folder)
        self._command = [sys.executable, "-m", "gunicorn", "example_project.wsgi:application"]
        self._command += [*THREADS, "--bind", f"127.0.0.1:{self.port}"]


@contextmanager
def app(upstream_url: str, folder: Path) -> Iterator[tuple[Target, Target]]:
    """Run two web nodes, threaded and asynchronous, a worker and a Redis until the block ends."""
    with OwnRedis(folder) as redis, ExitStack() as running:
        environment = site_environment(upstream_url, redis.url)
        threaded = ThreadedWeb("threaded", environment=environment, folder=folder)
        asynchronous = Web("asynchronous", environment=environment, folder=folder)
        worker = Worker("worker", environment=environment, folder=folder)
        for program in (threaded, asynchronous, worker):
            program.begin()
            running.callback(program.kill)
            program.wait()
        path, headers = "/textgen/generations/stream/", signed_in()
        yield Target(threaded.port, path, headers), Target(asynchronous.port, path, headers)


def site_environment(upstream_url: str, redis_url: str) -> dict[str, str]:
    kept = "?pool=true" if connection.vendor == "postgresql" else "?conn_max_age=60"
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "example_project.settings",
        "DJANGO_SECRET_KEY": settings.SECRET_KEY,
        "DJANGO_ALLOWED_HOSTS": "127.0.0.1",
        "DATABASE_URL": url_of_database(connection.settings_dict) + kept,
        "CELERY_BROKER_URL": redis_url.replace("/0", "/1"),
        "TEXTGEN_STREAM_BACKEND": redis_url,
        "CREATIFY_BASE_URL": upstream_url,
        "LOG_LEVEL": "WARNING",
    }


def signed_in() -> str:
    """Return the headers of a user who is signed in."""
    client = Client()
    client.force_login(User.objects.create_user("reader"))
    session, token = client.cookies["sessionid"].value, "a" * 32
    return f"Cookie: sessionid={session}; csrftoken={token}\r\nX-CSRFToken: {token}\r\n"


def rows_of_reader() -> QuerySet[Generation]:
    return Generation.objects.filter(owner__username="reader")


def share(values: list[float], part: float) -> float:
    return sorted(values)[int(len(values) * part)]


def report(what: str, bare: list[float], ours: list[float], *, aim: int) -> None:
    for name, part in (("p50", 0.5), ("p95", 0.95)):
        theirs, mine = share(bare, part), share(ours, part)
        wanted = f" (at most {aim})" if part == 0.95 else ""
        print(
            f"{what}, {name}: relay {theirs:.1f} ms, app {mine:.1f} ms, "
            f"{mine - theirs:.1f} ms later{wanted}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--chunks", type=int, default=10)
    parser.add_argument("--interval", type=float, default=0.05)
    options = parser.parse_args()
    bare, threaded, asynchronous = Delays([], []), Delays([], []), Delays([], [])
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        url = running.enter_context(upstream(options))
        relayed = running.enter_context(relay(url))
        targets = running.enter_context(app(url, folder))
        sides = [*zip((relayed, *targets), (bare, threaded, asynchronous), strict=True)]
        for pair in range(options.pairs + WARM_UPS):
            for target, delays in sides:
                noted = delays if pair >= WARM_UPS else Delays([], [])
                read_stream(target, chunks=options.chunks, delays=noted)
        wait_until(lambda: not rows_of_reader().exclude(status="done").exists())
    print(f"{options.pairs} pairs of {options.chunks} frames on {connection.vendor}")
    for name, ours in (("gunicorn", threaded), ("uvicorn", asynchronous)):
        report(f"{name}, first frame", bare.first, ours.first, aim=15)
        report(f"{name}, each following frame", bare.following, ours.following, aim=3)
    if connection.vendor != "sqlite":
        rows_of_reader().delete()
        User.objects.filter(username="reader").delete()


if __name__ == "__main__":
    main()
