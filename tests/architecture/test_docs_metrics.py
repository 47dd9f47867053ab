"""The documented figures and those of the dashboard are the ones that `metrics/` has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from tests.architecture.source import ROOT

PREFIX = "creatify_textgen_"
SUFFIXES = re.compile(r"_(bucket|count|sum)$")
MADE = re.compile(
    r'_gauge\(\s*"(\w+)"|^        \(\d, "(\w+)"|"creatify_textgen_(\w+)"', re.MULTILINE
)
WRITTEN = re.compile(r"creatify_textgen_(\w+)")


def made() -> set[str]:
    """Return the names in the code; a counter has `_total` at its end when it is read."""
    names: set[str] = set()
    for file in (ROOT / "creatify_textgen/contrib/prometheus").glob("*.py"):
        source = file.read_text(encoding="utf-8")
        counters = set(re.findall(r'Counter\(\s*"creatify_textgen_(\w+)"', source))
        found = {name for groups in MADE.findall(source) for name in groups if name}
        names |= {f"{name}_total" if name in counters else name for name in found}
    return names - {"prometheus"}


def documented() -> set[str]:
    text = (ROOT / "docs/how-to/operations.md").read_text(encoding="utf-8")
    table = "\n".join(line for line in text.splitlines() if line.startswith("| `creatify_textgen_"))
    return {
        name.removeprefix(PREFIX).removeprefix("_")
        for name in re.findall(r"`((?:creatify_textgen)?_\w+)`", table)
    }


def expressions() -> Iterator[str]:
    board = json.loads((ROOT / "docs/grafana.json").read_text(encoding="utf-8"))
    for panel in board["panels"]:
        assert panel["title"]
        yield from (target["expr"] for target in panel["targets"])


class TestFigures:
    def test_are_documented(self) -> None:
        assert documented() == made()

    def test_of_the_dashboard_exist_and_all_are_shown(self) -> None:
        shown = {
            SUFFIXES.sub("", name)
            for expression in expressions()
            for name in WRITTEN.findall(expression)
        }
        assert shown == made()
