"""A stream in a terminal, left with Ctrl-C and taken up again: real processes, real Redis."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from creatify_textgen.emulator import Emulator
from tests.architecture.source import ROOT

pytestmark = [pytest.mark.service, pytest.mark.slow]

SECONDS = 60


@pytest.fixture
def slow_remote() -> Iterator[Emulator]:
    with Emulator(chunk_interval=0.1, chunk_count=40, word_count=120) as emulator:
        yield emulator


@pytest.fixture
def environment(tmp_path: Path, redis_url: str, slow_remote: Emulator) -> dict[str, str]:
    """Return the example project's environment, with a separate database and separate queues."""
    queue = f"textgen-{uuid.uuid4()}"
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "example_project.settings",
        "DJANGO_DEBUG": "1",
        "DATABASE_URL": f"sqlite:///{tmp_path}/site.sqlite3",
        "CELERY_BROKER_URL": redis_url,
        "TEXTGEN_STREAM_BACKEND": redis_url,
        "TEXTGEN_CELERY_QUEUE": queue,
        "TEXTGEN_STREAM_QUEUE": queue,
        "TEXTGEN_WEBHOOK_BASE_URL": "",
        "CREATIFY_API_ID": "id",
        "CREATIFY_API_KEY": "key",
        "CREATIFY_BASE_URL": slow_remote.url,
    }


@pytest.fixture
def worker(environment: dict[str, str]) -> Iterator[None]:
    manage(environment, "migrate", "--verbosity", "0").communicate(timeout=SECONDS)
    queue = environment["TEXTGEN_STREAM_QUEUE"]
    options = ["--pool", "threads", "--queues", queue, "--hostname", f"{queue}@%h"]
    process = subprocess.Popen(
        [sys.executable, "-m", "celery", "--app", "example_project", "worker", *options],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield
    process.terminate()
    process.wait(SECONDS)


def manage(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class TestStream:
    def test_goes_on_after_ctrl_c_and_is_found_again_without_a_gap(
        self, environment: dict[str, str], worker: None, slow_remote: Emulator
    ) -> None:
        process = manage(environment, "textgen_generate", "--stream", "Count")
        assert process.stdout
        # Not through the buffer, which `communicate` would leave unread.
        begun = os.read(process.stdout.fileno(), 1000).decode()
        process.send_signal(signal.SIGINT)
        rest, reported = process.communicate(timeout=SECONDS)
        assert process.returncode == 130
        found = re.search(r"--attach (\S+)\n\(add --after (\S+) ", reported)
        assert found, reported
        again = manage(environment, "textgen_generate", "--attach", found[1], "--after", found[2])
        remainder, cost = again.communicate(timeout=SECONDS)
        assert again.returncode == 0, cost
        [remote] = slow_remote.generations
        assert begun + rest + remainder == f"{remote.response_text}\n"
        assert cost.splitlines()[-1].startswith("done | ")
