"""The example project as it is deployed: web nodes, a worker and a Redis, each a process.

They share the tests' database and an emulator. Each can be killed, and started again in its place.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import redis
from django.conf import settings
from django.db import connection

from tests.architecture.source import ROOT
from tests.databases import url_of_database
from tests.faults.processes import OwnRedis, wait_until

__all__ = ["Deployment", "ThreadedWeb", "Web", "Worker"]


class _Program:
    """One process, with all it says in a file."""

    def __init__(
        self, name: str, command: list[str], *, environment: Mapping[str, str], folder: Path
    ) -> None:
        self._words = folder / f"{name}.log"
        self._command = [sys.executable, "-m", *command]
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Start it if it does not run; `wait` returns when it can be used."""
        if self._process is None:
            with self._words.open("wb") as words:
                self._process = subprocess.Popen(
                    self._command, cwd=ROOT, env=self._environment, stdout=words, stderr=words
                )

    def wait(self) -> None:
        wait_until(self._is_ready)

    def kill(self) -> None:
        """End it by SIGKILL. May be called twice."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        self.kill()
        self.begin()
        self.wait()

    def _is_ready(self) -> bool:
        raise NotImplementedError


class Web(_Program):
    """uvicorn on a port that was free and is kept over a restart."""

    def __init__(self, name: str, *, environment: Mapping[str, str], folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._address = probe.getsockname()
        super().__init__(name, self._serve(), environment=environment, folder=folder)

    def _serve(self) -> list[str]:
        application = ["uvicorn", "example_project.asgi:application", "--lifespan", "off"]
        return [*application, "--port", str(self.port), "--log-level", "warning"]

    @property
    def port(self) -> int:
        return int(self._address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _is_ready(self) -> bool:
        try:
            socket.create_connection(self._address, timeout=1).close()
        except OSError:
            return False
        return True


class ThreadedWeb(Web):
    """Django's own server, which is WSGI with a thread for each request."""

    def _serve(self) -> list[str]:
        return ["django", "runserver", f"127.0.0.1:{self.port}", "--noreload", "--skip-checks"]


class Worker(_Program):
    """A Celery worker with threads, as the Procfile has for streams."""

    def __init__(self, name: str, *, environment: Mapping[str, str], folder: Path) -> None:
        command = ["celery", "-A", "example_project", "worker", "--pool", "threads"]
        options = ["--concurrency", "20", "--without-mingle"]
        super().__init__(name, [*command, *options], environment=environment, folder=folder)
        self._broker = environment["CELERY_BROKER_URL"]

    def _is_ready(self) -> bool:
        """Whether it waits for a task: it is the only one that does at this broker."""
        with redis.Redis.from_url(self._broker) as client:
            return any(other["cmd"] == "brpop" for other in client.client_list())


class Deployment:
    """The processes of one site. Use as a context manager, once the database is set up."""

    def __init__(self, folder: Path, *, remote_url: str) -> None:
        self.redis = OwnRedis(folder)
        self._remote_url = remote_url
        environment = self._environment()
        self.webs = [
            Web(f"web-{number}", environment=environment, folder=folder) for number in (1, 2)
        ]
        self.threaded_web = ThreadedWeb("wsgi", environment=environment, folder=folder)
        self.worker = Worker("worker", environment=environment, folder=folder)

    def __enter__(self) -> Self:
        self.redis.start()
        self.make_whole()
        return self

    def __exit__(self, *error: object) -> None:
        for program in (*self.webs, self.threaded_web, self.worker):
            program.kill()
        self.redis.stop()
        self.redis.client.close()

    def make_whole(self) -> None:
        """Start again whatever was killed; the threaded node runs only if a test starts it."""
        programs = (*self.webs, self.worker)
        for program in programs:
            program.begin()
        for program in programs:
            program.wait()

    def configuration(self) -> dict[str, Any]:
        """Return settings with which the tests' own process is one more node of the site."""
        account = {"API_ID": "id", "API_KEY": "key", "BASE_URL": self._remote_url}
        return {"ACCOUNTS": {"default": account}, "STREAM_BACKEND": self.redis.url}

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "example_project.settings",
            # For the static files; the key is ours so that they know our sessions.
            "DJANGO_DEBUG": "1",
            "DJANGO_SECRET_KEY": settings.SECRET_KEY,
            "DJANGO_ALLOWED_HOSTS": "127.0.0.1",
            "DATABASE_URL": url_of_database(connection.settings_dict),
            "CELERY_BROKER_URL": self.redis.url.replace("/0", "/1"),
            "CACHE_URL": "",
            "TEXTGEN_STREAM_BACKEND": self.redis.url,
            "TEXTGEN_CELERY_QUEUE": "",
            "TEXTGEN_STREAM_QUEUE": "",
            "TEXTGEN_WEBHOOK_BASE_URL": "",
            "CREATIFY_API_ID": "id",
            "CREATIFY_API_KEY": "key",
            "CREATIFY_BASE_URL": self._remote_url,
            "LOG_LEVEL": "WARNING",
        }
