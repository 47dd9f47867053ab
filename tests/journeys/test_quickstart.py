"""The README's quick start, followed literally in a new project: files and commands as printed.

Only addresses differ: the broker's, and the port of the site.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from creatify_textgen.emulator import Emulator
from tests.architecture.source import ROOT

pytestmark = pytest.mark.slow

SECTION = re.compile(r"^## Quick start$(.*?)^## ", re.MULTILINE | re.DOTALL)
# The paragraph before a block, the block's language, the block.
BLOCK = re.compile(r"([^\n]*)\n\n```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"`(mysite/\w+\.py)`")
BROKER = "redis://127.0.0.1:6379/0"
NO_BROKER = "redis://127.0.0.1:9/0"
ADDRESS = "127.0.0.1:8000"


@dataclass
class Guide:
    """The quick start: what goes into which file, and the blocks of commands in their order."""

    files: dict[str, str] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)

    def commands_with(self, word: str) -> str:
        [found] = [block for block in self.commands if word in block]
        return found


def read_guide() -> Guide:
    guide = Guide()
    [section] = SECTION.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    for before, language, text in BLOCK.findall(section):
        if language == "sh":
            guide.commands.append(text)
        else:
            [name] = FILE.findall(before)
            guide.files[name] = text
    return guide


GUIDE = read_guide()


@dataclass
class Site:
    folder: Path
    environment: dict[str, str]

    def run(self, commands: str) -> str:
        """Run what the guide prints; return what it says."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def write_files(self, *, broker: str) -> None:
        for name, text in GUIDE.files.items():
            assert BROKER in text or not name.endswith("settings.py")
            with (self.folder / name).open("a", encoding="utf-8") as file:
                file.write(text.replace(BROKER, broker))


@pytest.fixture
def remote_process() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def new_site(tmp_path: Path, remote_process: Emulator) -> Callable[[str], Site]:
    """Return a way to make the guide's project with a broker."""
    foreign = ("DJANGO_", "CREATIFY_", "TEST_", "CELERY_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["PYTHONWARNINGS"] = "default"
    environment["CREATIFY_BASE_URL"] = remote_process.url

    def make(broker: str) -> Site:
        Site(tmp_path, environment).run(GUIDE.commands_with("startproject"))
        site = Site(tmp_path / "mysite", environment)
        site.write_files(broker=broker)
        return site

    return make


class TestWithoutBroker:
    def test_generates_from_the_command_line(
        self, new_site: Callable[[str], Site], remote_process: Emulator
    ) -> None:
        told = new_site(NO_BROKER).run(GUIDE.commands_with("manage.py migrate"))
        assert "System check identified no issues" in told
        assert told.count("these words are the emulator's.") == 2
        assert remote_process.counters["creates"] == 2


@pytest.mark.service
class TestWithWorker:
    def test_generates_by_rest(
        self, new_site: Callable[[str], Site], redis_url: str, tmp_path: Path
    ) -> None:
        site = new_site(redis_url)
        site.run(GUIDE.commands_with("manage.py migrate"))
        # Keys are in the terminals' environment by then.
        site.environment |= {"CREATIFY_API_ID": "your-api-id", "CREATIFY_API_KEY": "your-api-key"}
        address = f"127.0.0.1:{free_port()}"
        site_commands = GUIDE.commands_with("runserver").splitlines()
        processes = [start(site, command, address=address) for command in site_commands]
        try:
            wait_for(address)
            [create, read, stream] = curls(address)
            assert json.loads(site.run(create))["status"] == "queued"
            until(lambda: json.loads(site.run(read))["results"][0]["status"] == "done")
            assert "event: end" in site.run(stream)
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(timeout=30)


def curls(address: str) -> list[str]:
    commands = GUIDE.commands_with("curl").replace(ADDRESS, address)
    return [f"curl --silent --show-error {c}" for c in commands.split("curl ") if c.strip()]


def start(site: Site, command: str, *, address: str) -> subprocess.Popen[bytes]:
    if "runserver" in command:
        command += f" --noreload {address}"
    return subprocess.Popen(
        ["bash", "-c", f"exec {command}"],
        cwd=site.folder,
        env=site.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


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
