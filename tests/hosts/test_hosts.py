"""Runs `checks` in each host project, in a process of its own: users and zones can't be changed
in one that runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PROJECTS = ["custom_user", "mounted", "strict", "naive_times", "first_to_wake"]


@pytest.mark.slow
class TestHost:
    @pytest.mark.parametrize("project", PROJECTS)
    def test_is_lived_in(self, project: str) -> None:
        command = [sys.executable, "-m", "pytest", f"--ds=tests.hosts.{project}", "-q"]
        command += ["-p", "no:cacheprovider", str(HERE / "checks.py")]
        # The outer run's server holds a database of the same name.
        environment = {**os.environ, "TEST_DATABASE_URL": "sqlite://", "COLUMNS": "200"}
        environment.pop("DJANGO_SETTINGS_MODULE", None)
        run = subprocess.run(
            command,
            cwd=HERE.parents[1],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert run.returncode == 0, run.stdout + run.stderr
