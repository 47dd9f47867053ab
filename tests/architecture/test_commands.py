"""People, hooks, .ci and the hosted CI run the same `make` targets, on the same Pythons."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.architecture.source import ROOT

TARGET = re.compile(r"^([a-z]+):", re.MULTILINE)
MAKE = re.compile(r"\bmake((?: +-[-\w]+)*(?: +[a-z]+)+)")
HOOKS = ROOT / ".pre-commit-config.yaml"
WORKFLOW = ROOT / ".github/workflows/ci.yml"
PHASES = re.compile(r"^phase \w+ (?:env ONCE=1 )?(make .+|\.ci/browser)$", re.MULTILINE)


def targets_in(commands: str) -> set[str]:
    """Return the `make` targets that these lines of a shell name."""
    found = [words.split() for words in MAKE.findall(commands)]
    return {word for words in found for word in words if not word.startswith("-")}


def commands_of_hooks() -> str:
    hooks = yaml.safe_load(HOOKS.read_text(encoding="utf-8"))
    return "\n".join(hook["entry"] for repo in hooks["repos"] for hook in repo["hooks"])


def jobs() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]
    return found


def commands_of_workflow() -> str:
    return "\n".join(step.get("run", "") for job in jobs().values() for step in job["steps"])


def commands_of_the_run() -> str:
    return "\n".join(PHASES.findall((ROOT / ".ci/run").read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "commands",
    [commands_of_hooks(), commands_of_workflow(), commands_of_the_run()],
    ids=["hooks", "workflow", "run"],
)
def test_are_targets_of_the_makefile(commands: str) -> None:
    known = set(TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))
    named = targets_in(commands)
    assert named
    assert named <= known


def test_the_hosted_ci_leaves_out_nothing_that_the_run_has() -> None:
    of_the_run = targets_in(commands_of_the_run().replace(".ci/browser", "make browser"))
    assert of_the_run == {
        "test",
        "coverage",
        "check",
        "properties",
        "demo",
        "hosts",
        "browser",
        "usechat",
        "matrix",
    }
    assert of_the_run <= targets_in(commands_of_workflow())


def test_the_hosted_ci_has_every_python_that_we_name() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        classifiers = tomllib.load(file)["project"]["classifiers"]
    named = re.findall(r"Programming Language :: Python :: (3\.\d+)", "\n".join(classifiers))
    frameworks = re.findall(r"Framework :: Django :: (\d\.\d)", "\n".join(classifiers))
    matrix = jobs()["test"]["strategy"]["matrix"]
    assert matrix["python"] == named
    assert matrix["django"] == frameworks


@pytest.mark.parametrize(
    "template", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.stem
)
def test_issue_forms_are_whole(template: Path) -> None:
    form = yaml.safe_load(template.read_text(encoding="utf-8"))
    if template.stem != "config":
        assert form["name"]
        assert form["description"]
        assert all(field["type"] in {"markdown", "textarea", "input"} for field in form["body"])
