"""The systemd units start the processes of the Procfile, and systemd accepts them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.architecture.source import ROOT

UNITS = ROOT / "docs/systemd"
BINARIES = "/srv/textgen/venv/bin/"
SERVICES = ("web", "worker", "streams", "beat")


def command_of(name: str) -> str:
    unit = (UNITS / f"textgen-{name}.service").read_text(encoding="utf-8")
    found = re.search(r"^ExecStart=(.+)$", unit, re.MULTILINE)
    assert found
    return found[1]


class TestUnits:
    @pytest.mark.parametrize("name", SERVICES)
    def test_start_what_the_procfile_starts(self, name: str) -> None:
        lines = (ROOT / "Procfile").read_text(encoding="utf-8").splitlines()
        [line] = [line for line in lines if line.startswith(f"{name}: ")]
        for word in re.findall(r"example_project\S*|--(?:queues|pool|worker-class) \S+", line):
            assert word in command_of(name)

    @pytest.mark.parametrize("name", SERVICES)
    def test_restart_and_are_limited(self, name: str) -> None:
        unit = (UNITS / f"textgen-{name}.service").read_text(encoding="utf-8")
        for line in ("Restart=always", "StartLimitIntervalSec=0", "TimeoutStopSec=", "MemoryMax="):
            assert line in unit

    @pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
    def test_are_accepted(self, tmp_path: Path) -> None:
        """The programs are not at the place where the units expect them, so others stand there."""
        for unit in UNITS.iterdir():
            text = unit.read_text(encoding="utf-8")
            text = re.sub(rf"{BINARIES}\w+", "/bin/true", text)
            text = re.sub(r"^(User|Group)=.*\n", "", text, flags=re.MULTILINE)
            (tmp_path / unit.name).write_text(text, encoding="utf-8")
        run = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        ours = [line for line in run.stderr.splitlines() if "textgen" in line]
        assert (run.returncode, ours) == (0, []), run.stderr
