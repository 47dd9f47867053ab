"""Processes that tests start, stop and kill: their Redis, and the environment of a host.

Nothing here touches a server of the machine.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import redis
import trustme
from django.conf import settings
from django.db import connection

from tests.databases import url_of_database

__all__ = ["PATIENCE_SECONDS", "OwnRedis", "TLSRedis", "environment_of_host", "wait_until"]

PATIENCE_SECONDS = 90.0


def wait_until(is_so: Callable[[], Any], *, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for what another process does; fail if it never comes."""
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def environment_of_host(**variables: str) -> dict[str, str]:
    """Return the environment in which another process is this host, as it is set up now."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
        "TEST_DATABASE_URL": url_of_database(connection.settings_dict),
        "FAULTS_TEXTGEN": json.dumps(dict(settings.CREATIFY_TEXTGEN)),
        **variables,
    }


class OwnRedis:
    """A Redis that keeps nothing on disk, on a port that was free."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self.client = redis.Redis(port=self._port, socket_timeout=5)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    @property
    def process_id(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> Self:
        options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            ["redis-server", *self._listen(), *options, "--dir", str(self._folder)],
            stdout=subprocess.DEVNULL,
        )
        wait_until(self._answers)
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()
        self.client.close()

    def stop(self) -> None:
        """Be gone at once, as a machine that lost its power."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _listen(self) -> list[str]:
        return ["--port", str(self._port)]

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False


class TLSRedis(OwnRedis):
    """The same behind TLS alone, with a certificate of an authority that nobody else knows."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._authority, self._pem = folder / "authority.pem", folder / "redis.pem"
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self._authority)
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(self._pem)
        self.client = redis.Redis.from_url(self.url, socket_timeout=5)

    @property
    def url(self) -> str:
        return f"rediss://127.0.0.1:{self._port}/0?ssl_ca_certs={self._authority}"

    def _listen(self) -> list[str]:
        keys = ["--tls-cert-file", str(self._pem), "--tls-key-file", str(self._pem)]
        only_tls = ["--port", "0", "--tls-port", str(self._port), "--tls-auth-clients", "no"]
        return [*only_tls, *keys, "--tls-ca-cert-file", str(self._authority)]
