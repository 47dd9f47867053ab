"""Worker processes for tests: one parent, which Django is set up in once, and a child a journey."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from django.conf import settings as django_settings

from tests.architecture.source import ROOT
from tests.faults.kills.points import KillPoint
from tests.faults.processes import environment_of_host

__all__ = ["Workers", "WorkersParent"]


class WorkersParent:
    """The process of `victim.py`, which forks; `variables` are added to its environment."""

    def __init__(self, words: Path, **variables: str) -> None:
        self.words = words
        self._variables = variables

    def __enter__(self) -> Self:
        self._stderr = self.words.open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.kills.victim"],
            cwd=ROOT,
            env=environment_of_host(**self._variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
        )
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._stderr.close()

    def ask(self, order: str) -> str:
        """Write a line and wait for the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(order + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()


@dataclass
class Workers:
    """Has a new process made for each journey."""

    parent: WorkersParent
    finished: Path
    """Where each `generation_finished` adds a line, whichever process sends it."""

    def run(self, journey: str, *, kill: KillPoint | None = None) -> int:
        """Have a new process make this journey and return its exit code."""
        order = {
            "journey": journey,
            "settings": dict(django_settings.CREATIFY_TEXTGEN),
            "finished": str(self.finished),
            "kill": kill.as_json() if kill else None,
        }
        return int(self.parent.ask(json.dumps(order)))

    @property
    def words(self) -> str:
        """What the processes have written to stderr."""
        return self.parent.words.read_text()

    def finished_ids(self) -> list[str]:
        return self.finished.read_text().split() if self.finished.exists() else []
