"""A site with django-tenants keeps this app in the public schema, and may use it in any other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest

from tests.architecture.source import ROOT
from tests.hosts.packages.test_driver import URL

NAME = f"textgen_tenants_{os.getpid()}"


@pytest.fixture
def database() -> Iterator[str]:
    with psycopg.connect(f"{URL}postgres", autocommit=True) as server:
        server.execute(f"CREATE DATABASE {NAME}")
        try:
            yield f"{URL}{NAME}"
        finally:
            server.execute(f"DROP DATABASE {NAME} WITH (FORCE)")


@pytest.mark.service
class TestTenants:
    def test_share_the_app_and_see_their_own(self, database: str) -> None:
        run = subprocess.run(
            [sys.executable, "-m", "tests.hosts.packages.tenants_site"],
            cwd=ROOT,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "tests.hosts.tenants",
                "TEST_POSTGRES_URL": database,
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert run.stdout.endswith("well\n"), run.stdout + run.stderr
