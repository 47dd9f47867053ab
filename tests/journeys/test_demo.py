"""`make demo`, as its process: the whole tour, and that it can fail."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from creatify_textgen.emulator import Emulator
from tests.architecture.source import ROOT

pytestmark = pytest.mark.slow

STEPS = [
    "Asynchronous, reported by a webhook",
    "Asynchronous, found by polling",
    "Synchronous",
    "An image, as base64 in the JSON",
    "A video, uploaded first",
    "A function call",
    "The function's response",
    "Streaming",
    "A conversation with a tool",
    "History",
    "Credits",
    "Try it yourself",
]


def run_demo(**environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CREATIFY_", "DJANGO_", "TEXTGEN_"))
    }
    return subprocess.run(
        [sys.executable, "-m", "example_project.demo"],
        cwd=ROOT,
        env={**inherited, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def real_service() -> Iterator[Emulator]:
    """Stand in for the real service, which the demo uses if it has keys."""
    with Emulator(api_keys="id:key", pending_seconds=0.1, running_seconds=0.1) as emulator:
        yield emulator


def keys(remote: Emulator) -> dict[str, str]:
    return {
        "CREATIFY_API_ID": "id",
        "CREATIFY_API_KEY": "key",
        "CREATIFY_BASE_URL": remote.url,
    }


class TestDemo:
    def test_shows_every_example_of_the_guide(self) -> None:
        started = time.monotonic()
        demo = run_demo(ONCE="1")
        assert (demo.returncode, demo.stderr) == (0, ""), demo.stdout
        assert time.monotonic() - started < 90
        assert [line for line in demo.stdout.splitlines() if line in STEPS] == STEPS
        assert "calls get_weather({'location': 'San Francisco'})" in demo.stdout
        assert "temperature is 62" in demo.stdout
        assert "0 of unknown cost" in demo.stdout
        assert "get_weather({'city': 'Rome'}) is done" in demo.stdout
        assert "According to get_weather, city is Rome" in demo.stdout
        assert "login      demo / " in demo.stdout

    def test_asks_the_real_service_where_its_keys_are_set(self, real_service: Emulator) -> None:
        demo = run_demo(**keys(real_service))
        assert (demo.returncode, demo.stderr) == (0, ""), demo.stdout
        assert [line for line in demo.stdout.splitlines() if line in STEPS] == STEPS[1:]
        assert real_service.counters["creates"] == 9
        assert real_service.counters["webhooks"] == 0

    def test_fails_where_anything_went_wrong(self, real_service: Emulator) -> None:
        real_service.switches.set(error_at_create="400")
        demo = run_demo(**keys(real_service))
        assert demo.returncode == 1
        assert "Failed: Asynchronous" in demo.stdout
