"""A page that makes a project: its files and its commands, to follow literally."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

# The paragraph before a block, the block's language, the block.
BLOCK = re.compile(r"((?:[^\n]+\n)*)\n?```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"(?:[Cc]reate|of|to|in) `([\w/]+(?:\.\w+)?)`")
ADDRESS = "127.0.0.1:8000"
EMULATOR = "http://127.0.0.1:8900"


@dataclass
class Guide:
    """What goes into which file, in order, and the blocks of commands."""

    files: list[tuple[str, str]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, page: Path) -> Guide:
        guide = cls()
        for before, language, text in BLOCK.findall(page.read_text(encoding="utf-8")):
            if language == "sh":
                guide.commands.append(text)
            else:
                guide.files.append((FILE.findall(before)[0], text))
        return guide

    def commands_with(self, word: str) -> str:
        [found] = [block for block in self.commands if word in block]
        return found

    def write_files(self, folder: Path) -> None:
        """Create each file, or add to its end what belongs there."""
        for name, text in self.files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with (folder / name).open("a", encoding="utf-8") as file:
                file.write(text)


@dataclass
class Site:
    folder: Path
    environment: dict[str, str]

    def run(self, commands: str) -> str:
        """Run what a guide prints; return what it says."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,  # four commands of Django, on a machine that may be busy
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def export(self, commands: str) -> None:
        """Take over what a guide exports in a terminal."""
        self.environment |= dict(re.findall(r"export (\w+)=(.+)", commands))

    @contextmanager
    def running(self, *commands: str, address: str) -> Iterator[None]:
        """Run processes of the site until the end of the block."""
        processes = [self._start(command, address=address) for command in commands]
        try:
            wait_for(address)
            yield
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(timeout=30)

    def _start(self, command: str, *, address: str) -> subprocess.Popen[bytes]:
        if "runserver" in command:
            command += f" --noreload {address}"
        return subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def clean_environment() -> dict[str, str]:
    """Return the environment of a new terminal, in which our Python comes first."""
    foreign = ("DJANGO_", "CREATIFY_", "TEST_", "CELERY_", "REDIS_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["PYTHONWARNINGS"] = "default"
    return environment


def curls(commands: str, *, address: str) -> list[str]:
    """Return each call of curl in a block of commands, with another address."""
    calls = commands.replace(ADDRESS, address).split("curl ")
    return [f"curl --silent --show-error {call}" for call in calls if call.strip()]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_for(address: str) -> None:
    host, _, port = address.partition(":")

    def answers() -> bool:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            return False
        return True

    until(answers)


def until(holds: Callable[[], bool], *, seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)
