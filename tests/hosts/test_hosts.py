"""Runs `checks` in each host project, in a separate process: users and zones can't be changed
in one that runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PROJECTS = [
    "custom_user",
    "mounted",
    "strict",
    "naive_times",
    "first_to_wake",
    "replicated",
    "routed",
]


def run_checks(project: str, *options: str, **variables: str) -> None:
    """Run `checks` in a process with the settings of this project."""
    command = [sys.executable, "-m", "pytest", f"--ds=tests.hosts.{project}", "-q", *options]
    command += ["-p", "no:cacheprovider", str(HERE / "checks.py")]
    # The outer run's server holds a database of the same name.
    environment = {**os.environ, "TEST_DATABASE_URL": "sqlite://", "COLUMNS": "200", **variables}
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


@pytest.mark.slow
class TestHost:
    @pytest.mark.parametrize("project", PROJECTS)
    def test_is_lived_in(self, project: str) -> None:
        run_checks(project)

    def test_whose_staff_have_no_permissions_is_lived_in(self) -> None:
        """Nobody there may see the rows of others, and there is no admin."""
        others = "Admin or found_by_owner or may_see_them"
        run_checks("plain_user", "-k", f"not ({others})")
