"""The emulator in a separate process, so that its work is not measured."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests

__all__ = ["EmulatorProcess", "emulator_process"]


@dataclass(frozen=True)
class EmulatorProcess:
    """A running emulator."""

    url: str
    process_id: int

    def set_switches(self, **switches: Any) -> None:
        """Change the switches of the running emulator."""
        answer = requests.post(f"{self.url}/_emulator/switches/", json=switches, timeout=10)
        answer.raise_for_status()

    def counters(self) -> dict[str, int]:
        """Return its counters."""
        counted: dict[str, int] = requests.get(f"{self.url}/_emulator/counters/", timeout=10).json()
        return counted


@contextmanager
def emulator_process(**switches: Any) -> Iterator[EmulatorProcess]:
    """Run an emulator on a free port until the block ends."""
    command = [sys.executable, "-m", "creatify_textgen.emulator", "--port", "0"]
    for name, value in switches.items():
        command += ["--switch", f"{name}={str(value).lower()}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = next(word for word in process.stdout.readline().split() if "http://" in word)
            yield EmulatorProcess(url.rstrip(".,/"), process.pid)
        finally:
            process.terminate()
