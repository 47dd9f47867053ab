"""The example site starts without a secret key only if it is asked to."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.architecture.source import ROOT

READ = "from example_project import settings; print(settings.DEBUG, len(settings.SECRET_KEY) > 0)"
KEY = "a-secret-key-that-is-long-enough-for-the-checks"


def read_settings(**variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", READ],
        cwd=ROOT,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class TestSecretKey:
    @pytest.mark.parametrize("variables", [{}, {"DJANGO_DEBUG": "0"}, {"DJANGO_SECRET_KEY": ""}])
    def test_is_required(self, variables: dict[str, str]) -> None:
        run = read_settings(**variables)
        assert run.returncode != 0
        assert "Set DJANGO_SECRET_KEY" in run.stderr

    def test_is_not_required_for_development(self) -> None:
        assert read_settings(DJANGO_DEBUG="1").stdout == "True True\n"

    def test_turns_nothing_else_on(self) -> None:
        assert read_settings(DJANGO_SECRET_KEY=KEY).stdout == "False True\n"
