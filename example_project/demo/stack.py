"""Runs the site in this process, with emulator, database, worker and ASGI server.

Its files are in a folder that the caller provides, and its threads end with `Stack`.
Invariant: the environment is complete before Django reads its settings.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import django
import uvicorn
from celery.contrib.testing.worker import start_worker
from django.contrib.auth import get_user_model
from django.core.management import call_command

from creatify_textgen.emulator import Emulator
from example_project.celery import app
from example_project.demo.tour import Remote

__all__ = ["Stack"]

HOST = "127.0.0.1"
START_SECONDS = 30
# Slow enough to watch the status change.
EMULATED: dict[str, Any] = {
    "pending_seconds": 0.4,
    "running_seconds": 0.8,
    "chunk_interval": 0.06,
    "call_if_named": True,
}
# If a webhook is expected, polling is five times slower than this.
POLL_SECONDS = 0.5


class EmulatedRemote(Remote):
    has_webhooks = True
    patience_seconds = 60.0

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def lose_next_webhook(self) -> None:
        self._emulator.switches.set(webhook="none", running_seconds=3, times=1)


class Stack:
    """A running site, as a context manager. Use it once per process."""

    def __init__(self, folder: Path, *, port: int = 0) -> None:
        self._folder = folder
        self._port = port
        self._opened = ExitStack()
        self.origin = ""
        self.remote = Remote()
        self.user_name = "demo"
        self.password = secrets.token_urlsafe(9)

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            listener = opened.enter_context(self._listen())
            self.origin = f"http://{HOST}:{listener.getsockname()[1]}"
            self._find_remote(opened)
            self._set_environment()
            django.setup()
            call_command("migrate", verbosity=0)
            self._create_user()
            # The tasks are short or wait for the network, so threads are enough.
            opened.enter_context(
                start_worker(app, pool="threads", concurrency=8, perform_ping_check=False)
            )
            opened.enter_context(_Server(listener))
            self._opened = opened.pop_all()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._opened.close()

    def _listen(self) -> socket.socket:
        try:
            return socket.create_server((HOST, self._port))
        except OSError as error:
            text = f"Port {self._port} cannot be used: {error.strerror}. Name another with --port."
            raise SystemExit(text) from error

    def _find_remote(self, opened: ExitStack) -> None:
        """Use the real service if its keys are set. Otherwise start the emulator."""
        if os.environ.get("CREATIFY_API_ID") and os.environ.get("CREATIFY_API_KEY"):
            return
        emulator = opened.enter_context(Emulator(**EMULATED))
        self.remote = EmulatedRemote(emulator)
        os.environ |= {
            "CREATIFY_API_ID": "demo",
            "CREATIFY_API_KEY": "demo",
            "CREATIFY_BASE_URL": emulator.url,
            "TEXTGEN_WEBHOOK_BASE_URL": self.origin,
            "TEXTGEN_POLL_INTERVAL": str(POLL_SECONDS),
        }

    def _set_environment(self) -> None:
        # Variables of the shell must not lead this tour to another database or broker.
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "example_project.settings",
            "DJANGO_DEBUG": "1",
            "DJANGO_SECRET_KEY": secrets.token_hex(32),
            "DJANGO_ALLOWED_HOSTS": HOST,
            "DATABASE_URL": f"sqlite:///{self._folder}/demo.sqlite3",
            "MEDIA_ROOT": str(self._folder / "media"),
            "CACHE_URL": "",
            "CELERY_BROKER_URL": "memory://",
            "TEXTGEN_STREAM_BACKEND": "memory://",
            "TEXTGEN_CELERY_QUEUE": "",
            "TEXTGEN_STREAM_QUEUE": "",
        }
        os.environ.setdefault("LOG_LEVEL", "ERROR")

    def _create_user(self) -> None:
        users: Any = get_user_model()._default_manager
        users.create_superuser(self.user_name, "demo@example.com", self.password)


class _Server:
    """uvicorn in a thread, on a socket that listens already."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        config = uvicorn.Config(
            "example_project.asgi:application",
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="site", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.should_exit = True
        self._thread.join(START_SECONDS)

    def _run(self) -> None:
        self._server.run(sockets=[self._listener])
