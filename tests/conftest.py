"""What every test gets: no way out of this machine, and the profiles of Hypothesis."""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker
from celery.signals import task_postrun
from django.core.cache import cache
from django.core.management.commands import flush
from django.db import connection, connections
from hypothesis import HealthCheck, settings

from creatify_textgen.dispatch import sweep_schedule
from creatify_textgen.emulator import Emulator
from creatify_textgen.logs import causes
from creatify_textgen.rest.streaming.limits import reader_slots
from tests.celery_app import app
from tests.databases import database_from_url, url_of_database
from tests.deployment import Deployment
from tests.emptying import empty
from tests.faults.processes import OwnRedis

# The first two are found without this line if the app was installed after they became entry points.
pytest_plugins = [
    "creatify_textgen.emulator.fixtures",
    "creatify_textgen.pytest_plugin",
    "tests.tallies",
]

LOOPBACK = {"127.0.0.1", "::1", "localhost", "0.0.0.0", "::", "", None}

LEFT_OPEN = """
SELECT state, state_change, query, pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""

settings.register_profile(
    "thorough",  # `make properties`
    deadline=None,  # two shared cores make single examples slow now and then
    print_blob=True,
    # The gate gives one commit one verdict; everywhere else each run tries other examples.
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("quick", settings.get_profile("thorough"), max_examples=20)
settings.register_profile(
    "mutation",
    settings.get_profile("thorough"),
    max_examples=25,
    # mutmut runs each test class many times in one process.
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors],
)
settings.load_profile("quick")


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
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Give each process its own SQLite file: mutmut forks processes that have read the settings.

    On a server, pytest-django gives each process of pytest-xdist its own database.
    """
    if connection.vendor == "sqlite" and "TEST_DATABASE_URL" not in os.environ:
        own = database_from_url("sqlite://")
        connections["default"].settings_dict.update(NAME=own["NAME"])
        connections["default"].settings_dict["TEST"]["NAME"] = own["NAME"]
    if connection.vendor == "postgresql":
        # No test loses power, so no commit has to wait for the disk.
        connection.settings_dict["OPTIONS"]["options"] = "-c synchronous_commit=off"


@pytest.fixture(scope="session")
def django_db_setup(
    django_db_setup: None, django_db_blocker: Any, request: pytest.FixtureRequest
) -> Iterator[None]:
    """End what still uses the database, and say what it was, before the database is dropped."""
    yield
    with warnings.catch_warnings():
        # Only connections to the database are looked for here. Whether a socket of another kind is
        # still in a cycle at this moment is chance, and would fail whatever test comes last.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()  # connections of threads that have ended
    if connection.vendor == "postgresql":
        capture = request.config.pluginmanager.get_plugin("capturemanager")
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(LEFT_OPEN)
            for state, since, query, _ in cursor.fetchall():
                with capture.global_and_fixture_disabled():
                    sys.stderr.write(f"\nLeft open, {state} since {since}: {query[:500]}\n")


@pytest.fixture(scope="session", autouse=True)
def _quick_flush() -> Iterator[None]:
    """Empty the database quickly after each test that commits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush.Command, "handle", empty)
        yield


@pytest.fixture(autouse=True)
def _first_time_of_each_cause() -> None:
    """Have each test log as a new process would: a repeated cause is only counted."""
    causes.forget()


@pytest.fixture(autouse=True)
def _no_sweep_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each test know of the next sweep what its database says."""
    monkeypatch.setattr(sweep_schedule._NextSweep, "at", None)


@pytest.fixture(scope="session")
def host_celery() -> Celery:
    """Return the host project's Celery app; its broker is this process unless the run names one."""
    return app


@pytest.fixture(autouse=True)
def _host_celery_is_current() -> None:
    """Send tasks through the host project's app, though a test has imported another project."""
    app.set_current()


@pytest.fixture
def host_worker(host_celery: Celery, transactional_db: None) -> Iterator[None]:
    """Let a worker in a thread take the host's tasks; the root logger gets its level back."""
    level = logging.root.level
    # As `celery worker` does after each task, but not a worker that a test starts.
    task_postrun.connect(_close_connections)
    with start_worker(host_celery, pool="solo", perform_ping_check=False):
        yield
    task_postrun.disconnect(_close_connections)
    logging.root.setLevel(level)


def _close_connections(**_: Any) -> None:
    connections.close_all()


@pytest.fixture(scope="session")
def redis_url() -> str:
    """Return the Redis of tests marked `service`; each uses its own keys."""
    return os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/9")


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[OwnRedis]:
    """Return a Redis that this test may stop and flush."""
    with OwnRedis(tmp_path) as redis:
        yield redis


@pytest.fixture(scope="session")
def rabbitmq_url() -> str:
    """Return the RabbitMQ of tests marked `service`; each uses its own queues."""
    return os.environ.get("TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672//")


@pytest.fixture(scope="module")
def running_deployment(
    django_db_setup: None,
    creatify_emulator_server: Emulator,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deployment]:
    """Run the example project in separate processes; a test calls `make_whole` first."""
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


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the longest tests, so that no process is left alone with one at the end."""
    # Processes of pytest-xdist would not collect the same tests.
    if changing := [item.nodeid for item in items if " at 0x" in item.nodeid]:
        raise pytest.UsageError(f"These ids are others in each process: {', '.join(changing)}")
    if config.getoption("loadgroup", default=False):  # in a process of pytest-xdist
        grouped = [item.nodeid for item in items if item.get_closest_marker("xdist_group")]
        if apart := [nodeid for nodeid in grouped if "@" not in nodeid]:
            raise pytest.UsageError(f"pytest-xdist does not see the group of {apart[0]}.")
    longest = ("machine", "slow")
    items.sort(key=lambda item: [item.get_closest_marker(name) is None for name in longest])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Let pumps and sweeps that a test has begun end before its database is emptied."""
    try:
        return (yield)
    finally:
        for thread in threading.enumerate():
            if thread.name.startswith(("textgen-pump-", "textgen-sweep-")):
                thread.join(timeout=10)


@pytest.fixture(autouse=True)
def _no_readers_of_other_tests() -> None:
    """Forget places of answers that a test looked at and never read, as no server would."""
    reader_slots._until.clear()
    reader_slots._readers.clear()


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    """Forget what other tests have cached, such as the balance of an account."""
    cache.clear()
