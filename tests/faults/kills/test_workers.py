"""The same with real Celery workers and a real broker: killed in a task, then started again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from kombu import Connection

from creatify_textgen import services
from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Generation
from creatify_textgen.states import Status
from tests.architecture.source import ROOT
from tests.faults.kills.journeys import PROMPT, let_ten_minutes_pass, past_due
from tests.faults.kills.points import KillPoint
from tests.faults.kills.table import CASES, Case
from tests.faults.kills.test_kills import assert_paid_once, assert_told_right, has_come_to_rest
from tests.faults.processes import PATIENCE_SECONDS, OwnRedis, environment_of_host, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.service,
    pytest.mark.django_db(transaction=True),
]

KILLED_IN_A_TASK = [
    "submit: before send",
    "submit: sent",
    "submit: answered",
    "submit: saving the answer",
    "poll: claimed",
    "poll: poll answered",
    "poll: writing the rollup",
    "poll: committed, not signalled",
    "stream: sent",
    "stream: last chunk, not saved",
]
MID_STREAM = KillPoint(
    target="creatify_textgen.streams.hub.redis:RedisHub.publish", when="before", nth=8
)
CASES_OF_WORKERS = {name: CASES[name] for name in KILLED_IN_A_TASK}
CASES_OF_WORKERS["stream: mid stream"] = CASES["stream: mid stream"]._replace(point=MID_STREAM)


@dataclass
class CeleryWorkers:
    """Starts workers of this host, one after the other, and gives them tasks."""

    broker: str
    queue: str
    finished: Path
    acks_late: str = "no"
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._producer = Celery("producer", broker=self.broker, set_as_current=False)

    def start(
        self, *, kill: KillPoint | None = None, pool: str = "solo", concurrency: int = 1
    ) -> subprocess.Popen[bytes]:
        """Start a worker of this host as it is set up now."""
        command = [sys.executable, "-m", "celery", "-A", "tests.faults.kills.worker", "worker"]
        options = ["--pool", pool, "--concurrency", str(concurrency), "--queues", self.queue]
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "ERROR"]
        environment = environment_of_host(
            TEST_BROKER_URL=self.broker,
            FAULTS_FINISHED=str(self.finished),
            FAULTS_ACKS_LATE=self.acks_late,
            FAULTS_KILL=json.dumps(kill.as_json()) if kill else "",
        )
        process = subprocess.Popen([*command, *options, *quiet], cwd=ROOT, env=environment)
        self.processes.append(process)
        return process

    def give(self, task: str, *args: str) -> None:
        """Publish a task as the app does."""
        with self._producer.connection_for_write() as connection:
            name = f"creatify_textgen.{task}"
            self._producer.send_task(name, args=args, queue=self.queue, connection=connection)

    def finished_ids(self) -> list[str]:
        return self.finished.read_text().split() if self.finished.exists() else []

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        self._producer.close()


@pytest.fixture
def queue() -> str:
    return f"faults-{uuid.uuid4().hex}"


@pytest.fixture
def celery_workers(
    own_redis: OwnRedis, remote: Emulator, settings: Any, tmp_path: Path, queue: str
) -> Iterator[CeleryWorkers]:
    """Return workers with their own Redis."""
    point_to(own_redis, queue, settings=settings)
    workers = CeleryWorkers(own_redis.url, queue, tmp_path / "finished")
    yield workers
    workers.end()


@pytest.fixture
def redelivering_workers(
    own_redis: OwnRedis,
    remote: Emulator,
    settings: Any,
    tmp_path: Path,
    queue: str,
    rabbitmq_url: str,
) -> Iterator[CeleryWorkers]:
    """Return workers on a RabbitMQ that gives what a dead one held to the next."""
    point_to(own_redis, queue, settings=settings)
    workers = CeleryWorkers(rabbitmq_url, queue, tmp_path / "finished", acks_late="yes")
    yield workers
    workers.end()
    with Connection(rabbitmq_url) as connection:
        connection.default_channel.queue_delete(queue)


def point_to(own_redis: OwnRedis, queue: str, *, settings: Any) -> None:
    settings.CREATIFY_TEXTGEN = {
        **settings.CREATIFY_TEXTGEN,
        "CELERY_QUEUE": queue,
        "STREAM_QUEUE": queue,
        "STREAM_BACKEND": own_redis.url,
    }


def messages_in(queue: str, url: str) -> int:
    with Connection(url) as connection:
        declared = connection.default_channel.queue_declare(queue, passive=True)
        return int(declared.message_count)


def begin(case: Case, remote: Emulator) -> tuple[str, str]:
    """Save what is to be worked on; return the name of its task and its id."""
    if case.journey == "listen":
        remote.switches.set(chunk_count=16, chunk_interval=0.02)
        return "stream", str(services.begin_stream(PROMPT).pk)
    return "submit", str(services.submit(PROMPT).pk)


def is_at_rest() -> bool:
    waiting = Generation.objects.exclude(status=Status.EXPIRED)
    return not waiting.exclude(due_at=None).exists()


def assert_right(
    workers: CeleryWorkers, remote: Emulator, *, status: str = "done", signals: int = 1
) -> None:
    row = Generation.objects.select_related("content").get()
    assert row.status == status
    assert_paid_once(remote)
    assert_told_right(row)
    # A row is at rest before its receivers are called: they are called once at most.
    wait_until(lambda: len(workers.finished_ids()) >= signals)
    assert workers.finished_ids() == [str(row.pk)] * signals


class TestWorker:
    @pytest.mark.parametrize("case", CASES_OF_WORKERS.values(), ids=CASES_OF_WORKERS)
    def test_killed_in_a_task_loses_nothing(
        self, celery_workers: CeleryWorkers, remote: Emulator, settings: Any, case: Case
    ) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, **case.settings}
        task, generation_id = begin(case, remote)
        doomed = celery_workers.start(kill=case.point)
        celery_workers.give(task, generation_id)
        assert doomed.wait(PATIENCE_SECONDS) == -signal.SIGKILL
        wait_until(lambda: has_come_to_rest(remote, accepted=case.accepted))

        for _ in range(2):
            past_due() if case.accepted else let_ten_minutes_pass()
        celery_workers.start()
        celery_workers.give("sweep")

        wait_until(is_at_rest)
        assert_right(celery_workers, remote, status=case.status, signals=case.signals)

    def test_of_which_a_child_is_killed_goes_on_itself(
        self, celery_workers: CeleryWorkers, remote: Emulator
    ) -> None:
        """As the kernel kills who takes too much memory."""
        case = CASES["submit: sent"]
        task, generation_id = begin(case, remote)
        celery_workers.start(kill=case.point, pool="prefork", concurrency=1)
        celery_workers.give(task, generation_id)
        wait_until(lambda: has_come_to_rest(remote, accepted=True))
        past_due()
        celery_workers.give("sweep")
        wait_until(is_at_rest)
        assert_right(celery_workers, remote)


class TestRedelivery:
    def test_of_a_task_whose_worker_died_sends_nothing(
        self, redelivering_workers: CeleryWorkers, remote: Emulator, rabbitmq_url: str
    ) -> None:
        """With late acknowledgement the broker gives the next worker what the dead one held."""
        case = CASES["submit: sent"]
        task, generation_id = begin(case, remote)
        doomed = redelivering_workers.start(kill=case.point)
        redelivering_workers.give(task, generation_id)
        assert doomed.wait(PATIENCE_SECONDS) == -signal.SIGKILL
        wait_until(lambda: has_come_to_rest(remote, accepted=True))

        wait_until(lambda: messages_in(redelivering_workers.queue, rabbitmq_url) == 1)
        redelivering_workers.start()
        past_due()
        redelivering_workers.give("sweep")

        wait_until(is_at_rest)
        assert_right(redelivering_workers, remote)

    @pytest.mark.parametrize("name", ["submit: sent", "stream: sent"], ids=["submit", "stream"])
    def test_of_a_task_to_many_at_once_sends_once(
        self, celery_workers: CeleryWorkers, remote: Emulator, name: str
    ) -> None:
        task, generation_id = begin(CASES[name], remote)
        for _ in range(12):
            celery_workers.give(task, generation_id)
        celery_workers.start(pool="threads", concurrency=8)
        wait_until(is_at_rest)
        assert_right(celery_workers, remote)
