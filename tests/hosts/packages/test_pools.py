"""Each pool that Celery has works off requests and streams, several at once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from creatify_textgen import services
from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Generation
from tests.architecture.source import ROOT
from tests.faults.processes import OwnRedis, environment_of_host, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.service]


@pytest.fixture
def site(remote: Emulator, own_redis: OwnRedis, settings: Any) -> OwnRedis:
    settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "STREAM_BACKEND": own_redis.url}
    return own_redis


@pytest.fixture
def worker(request: pytest.FixtureRequest, site: OwnRedis, tmp_path: Path) -> Iterator[Path]:
    words = tmp_path / "worker.log"
    command = ["celery", "-A", "tests.celery_app", "worker", "-P", request.param]
    options = ["--concurrency", "1" if request.param == "solo" else "8", "--without-mingle"]
    with words.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command, *options],
            cwd=ROOT,
            env=environment_of_host(TEST_BROKER_URL=site.url),
            stdout=log,
            stderr=log,
        )
    yield words
    process.kill()
    process.wait()


class TestPool:
    @pytest.mark.parametrize("worker", ["eventlet", "gevent", "threads", "solo"], indirect=True)
    def test_works_off_requests_and_streams(self, worker: Path, site: OwnRedis) -> None:
        rows = [services.submit(f"Say {number}") for number in range(4)]
        streams = [services.begin_stream(f"Say {number}") for number in range(4)]
        with Celery(broker=site.url) as celery:
            for kind, made in (("submit", rows), ("stream", streams)):
                for row in made:
                    celery.send_task(f"creatify_textgen.{kind}", [str(row.pk)])
        done = Generation.objects.filter(status="done").exclude(content__response_text="")
        try:
            wait_until(lambda: done.count() == 8, seconds=60)
        except AssertionError:
            pytest.fail(worker.read_text())
        assert "Traceback" not in worker.read_text()
