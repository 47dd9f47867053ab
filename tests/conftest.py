"""What every test gets: no way out of this machine, and the profiles of Hypothesis."""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker
from django.db import connection, connections
from hypothesis import HealthCheck, settings

from creatify_textgen.emulator import Emulator
from creatify_textgen.streaming.limits import reader_slots
from tests.celery_app import app
from tests.databases import database_from_url, url_of_database
from tests.deployment import Deployment

pytest_plugins = ["creatify_textgen.emulator.fixtures"]

LOOPBACK = {"127.0.0.1", "::1", "localhost", "0.0.0.0", "::", "", None}

LEFT_OPEN = """
SELECT state, state_change, query, pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""

settings.register_profile(
    "default",
    deadline=None,  # two shared cores make single examples slow now and then
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "mutation",
    settings.get_profile("default"),
    max_examples=25,
    # mutmut runs each test class many times in one process.
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors],
)
settings.load_profile("default")


def _stay_on_this_machine(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    name = host.decode() if isinstance(host, bytes) else host
    if name not in LOOPBACK:
        raise RuntimeError(f"A test tried to reach {name!r}; tests stay on 127.0.0.1.")


sys.addaudithook(_stay_on_this_machine)


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """Give each process a file of its own; mutmut forks those that have read the settings."""
    if connection.vendor == "sqlite" and "TEST_DATABASE_URL" not in os.environ:
        own = database_from_url("sqlite://")
        connections["default"].settings_dict.update(NAME=own["NAME"])
        connections["default"].settings_dict["TEST"]["NAME"] = own["NAME"]


@pytest.fixture(scope="session")
def django_db_setup(
    django_db_setup: None, django_db_blocker: Any, request: pytest.FixtureRequest
) -> Iterator[None]:
    """End what still uses the database, and say what it was, before the database is dropped."""
    yield
    gc.collect()  # connections of threads that have ended
    if connection.vendor == "postgresql":
        capture = request.config.pluginmanager.get_plugin("capturemanager")
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(LEFT_OPEN)
            for state, since, query, _ in cursor.fetchall():
                with capture.global_and_fixture_disabled():
                    sys.stderr.write(f"\nLeft open, {state} since {since}: {query[:500]}\n")


@pytest.fixture(scope="session")
def host_celery() -> Celery:
    """Return the host project's Celery app; its broker is this process unless the run names one."""
    return app


@pytest.fixture
def host_worker(host_celery: Celery, transactional_db: None) -> Iterator[None]:
    """Let a worker in a thread take the host's tasks; the root logger gets its level back."""
    level = logging.root.level
    with start_worker(host_celery, pool="solo", perform_ping_check=False):
        yield
    logging.root.setLevel(level)


@pytest.fixture(scope="session")
def redis_url() -> str:
    """Return the Redis of tests marked `service`; each uses keys of its own."""
    return os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/9")


@pytest.fixture(scope="session")
def rabbitmq_url() -> str:
    """Return the RabbitMQ of tests marked `service`; each uses queues of its own."""
    return os.environ.get("TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672//")


@pytest.fixture(scope="module")
def running_deployment(
    django_db_setup: None,
    creatify_emulator_server: Emulator,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deployment]:
    """Run the example project in processes of its own; a test calls `make_whole` first."""
    folder = tmp_path_factory.mktemp("deployment")
    with Deployment(folder, remote_url=creatify_emulator_server.url) as deployment:
        yield deployment


@pytest.fixture
def host_environment(transactional_db: None) -> dict[str, str]:
    """Return the environment in which another process is this host: same settings, same rows."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "TEST_DATABASE_URL": url_of_database(connection.settings_dict),
    }


@pytest.fixture
def remote(creatify_emulator: Emulator, settings: Any) -> Emulator:
    """Return an emulator that this host's settings point to; waits are as short as can be."""
    account = {"API_ID": "test-api-id", "API_KEY": "test-api-key"}
    settings.CREATIFY_TEXTGEN = {
        **settings.CREATIFY_TEXTGEN,
        "ACCOUNTS": {"default": {**account, "BASE_URL": creatify_emulator.url}},
        "POLL_INTERVAL": 0.01,
    }
    creatify_emulator.switches.set(pending_seconds=0, running_seconds=0)
    return creatify_emulator


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Let pumps that a test has begun end before its database is emptied."""
    try:
        return (yield)
    finally:
        for thread in threading.enumerate():
            if thread.name.startswith("textgen-pump-"):
                thread.join(timeout=10)


@pytest.fixture(autouse=True)
def _no_readers_of_other_tests() -> None:
    """Forget places of answers that a test looked at and never read, as no server would."""
    reader_slots._until.clear()
    reader_slots._readers.clear()
