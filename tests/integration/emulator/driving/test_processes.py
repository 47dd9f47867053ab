"""The emulator as its own process, and its pytest fixture in a host that has no Django."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).resolve().parents[4]
HOST_CONFTEST = 'pytest_plugins = ["creatify_textgen.emulator.fixtures"]\n'
HOST_TEST = """
import sys


def test_may_change_switches(creatify_emulator):
    creatify_emulator.switches.set(latency=1)
    assert creatify_emulator.url.startswith("http://127.0.0.1:")


def test_starts_fresh(creatify_emulator):
    assert creatify_emulator.switches.settings.latency == 0
    assert "django" not in sys.modules
"""


def start_emulator(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "creatify_textgen.emulator", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )


class TestCommand:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
    def test_serves_until_told_to_stop(self, number: signal.Signals) -> None:
        with start_emulator("--switch", "balance=12.5", "--verbose") as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.fullmatch(r"Creatify emulator listening on (http://127.0.0.1:\d+)\n", line)
            assert found is not None
            export = process.stdout.readline()
            keys = {"X-API-ID": "a", "X-API-KEY": "b"}
            url = f"{found[1]}/api/remaining_credits/"
            answer = requests.get(url, headers=keys, timeout=10)
            process.send_signal(number)
            output, errors = process.communicate(timeout=10)
        assert answer.json() == {"remaining_credits": 12.5}
        variables = f"CREATIFY_BASE_URL={found[1]} CREATIFY_API_ID=emulator"
        assert export == f"export {variables} CREATIFY_API_KEY=emulator\n"
        assert (process.returncode, output) == (0, "")
        assert "GET /api/remaining_credits/ 200" in errors

    def test_says_so_when_it_cannot_listen(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            with start_emulator("--port", port) as process:
                _, errors = process.communicate(timeout=10)
        assert process.returncode == 1
        assert f"Cannot listen on 127.0.0.1:{port}" in errors


class TestFixture:
    def test_works_in_a_host_without_django(self, tmp_path: Path) -> None:
        (tmp_path / "conftest.py").write_text(HOST_CONFTEST, encoding="utf-8")
        (tmp_path / "test_host.py").write_text(HOST_TEST, encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:django",
            "-p",
            "no:cacheprovider",
        ]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert "2 passed" in done.stdout
