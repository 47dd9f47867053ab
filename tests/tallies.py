"""What tests count over the whole run, printed at its end.

Under pytest-xdist each process counts its own tests; the sum is printed by the process that started
them, which reads no conftest below `tests`. So this is a plugin of `tests/conftest.py`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pytest

TALLIES: defaultdict[str, Counter[str]] = defaultdict(Counter)


@pytest.fixture(scope="session")
def abuse_tally() -> Counter[str]:
    """Return how what must not be granted was answered."""
    return TALLIES["abuse"]


@pytest.fixture(scope="session")
def kill_tally() -> Counter[str]:
    """Return what is counted over all kills."""
    return TALLIES["kills"]


@pytest.fixture(scope="session")
def run_tally() -> Counter[str]:
    """Return what is counted over all kills of runs."""
    return TALLIES["runs"]


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["tallies"] = {name: dict(tally) for name, tally in TALLIES.items()}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    # A process that crashed has no output.
    for name, counts in getattr(node, "workeroutput", {}).get("tallies", {}).items():
        TALLIES[name].update(counts)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if abuse := TALLIES["abuse"]:
        answers = ", ".join(f"{abuse[name]} x {name}" for name in sorted(abuse))
        line = f"Abuse: {abuse.total()} requests, {abuse['5xx']} x 5xx ({answers})"
        terminalreporter.write_line(line)
    if kills := TALLIES["kills"]:
        reported = ", ".join(f"{name} {count}" for name, count in kills.items())
        terminalreporter.write_line(f"Kills by SIGKILL: {reported}")
    if runs := TALLIES["runs"]:
        reported = ", ".join(f"{name} {count}" for name, count in runs.items())
        terminalreporter.write_line(f"Runs killed by SIGKILL: {reported}")
