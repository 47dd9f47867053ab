"""Servers for `webhook_receipt`, each in a separate process, and the load that measures them."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["gunicorn", "rate", "uvicorn"]

HERE = Path(__file__).parent
PROCESSES = 2


@contextmanager
def gunicorn(application: str, *, threads: int) -> Iterator[int]:
    """Serve a WSGI application from one process until the block ends; yield its port."""
    port = _free_port()
    command = ["gunicorn", application, "--bind", f"127.0.0.1:{port}", "--threads", str(threads)]
    command += ["--keep-alive", "60", "--log-level", "error", "--workers", "1"]
    with _serving([*command, "--no-control-socket"], port):
        yield port


@contextmanager
def uvicorn(application: str, **environment: str) -> Iterator[int]:
    """Serve an ASGI application from one process until the block ends; yield its port."""
    port = _free_port()
    command = ["uvicorn", application, "--host", "127.0.0.1", "--port", str(port)]
    command += ["--log-level", "error", "--no-access-log", "--lifespan", "off"]
    with _serving(command, port, **environment):
        yield port


def rate(port: int, requests: list[bytes], *, connections: int) -> float:
    """Return requests per second, sent over this many connections at once."""
    command = [sys.executable, str(HERE / "load.py"), str(port)]
    command.append(str(max(connections // PROCESSES, 1)))
    lines = [base64.b64encode(request).decode() for request in requests]
    loads = []
    for _ in range(PROCESSES):
        load = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        loads.append(load)
    for index, load in enumerate(loads):
        assert load.stdin is not None
        load.stdin.write("\n".join(lines[index::PROCESSES]))
        load.stdin.close()
    seconds = []
    for load in loads:
        assert load.stdout is not None
        seconds.append(float(load.stdout.read()))
        load.wait()
    return len(requests) / max(seconds)


@contextmanager
def _serving(command: list[str], port: int, **environment: str) -> Iterator[None]:
    whole = [sys.executable, "-m", *command]
    with subprocess.Popen(whole, cwd=HERE.parent.parent, env=os.environ | environment) as process:
        try:
            _wait_for(port)
            yield
        finally:
            process.terminate()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    for _ in range(300):
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.1)
    raise SystemExit("The server does not listen.")
