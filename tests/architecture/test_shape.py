"""Size and shape of the code: what STYLE asks of modules and functions."""

from __future__ import annotations

import ast
from collections import Counter

import pytest

from tests.architecture.source import (
    FunctionNode,
    Module,
    example_modules,
    package_modules,
    size_of,
)

MODULES = package_modules() + example_modules()
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "core", "misc", "base"}
THEORIES = {
    "bulk",
    "chat.loop",
    "recovery.evidence",
    "recovery.sweep",
    "streams.hub",
    "streams.pump",
    "streams.reader_plan",
}
"""Hard modules open with what can happen, in which order, and why it is still right."""
THEORY_LINES = 32
DRAWING = ("├", "└", "│", "    ")

every_module = pytest.mark.parametrize(
    "module", MODULES, ids=[module.name or "creatify_textgen" for module in MODULES]
)


def is_table(module: Module) -> bool:
    return sum(size_of(function) for function in module.functions()) < module.line_count / 5


def late_imports(module: Module) -> list[int]:
    return [
        node.lineno
        for function in module.functions()
        if function.name != "ready"
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]


def long_functions(module: Module, *, limit: int) -> list[FunctionNode]:
    return [function for function in module.functions() if size_of(function) > limit]


@every_module
class TestModule:
    def test_has_a_name_that_says_what_it_holds(self, module: Module) -> None:
        assert not VAGUE_NAMES & set(module.name.split("."))

    def test_is_short(self, module: Module) -> None:
        assert module.line_count <= (400 if is_table(module) else 300)

    def test_says_what_lives_here(self, module: Module) -> None:
        if module.line_count == 0:
            return
        lines = [line for line in module.docstring.splitlines() if line.strip()]
        prose = [line for line in lines if not line.startswith(DRAWING)]
        assert 1 <= len(prose) <= (THEORY_LINES if module.name in THEORIES else 6)

    def test_has_short_functions(self, module: Module) -> None:
        assert [function.name for function in long_functions(module, limit=40)] == []

    def test_imports_at_the_top_only(self, module: Module) -> None:
        assert late_imports(module) == []


def lines_by_room() -> Counter[str]:
    lines: Counter[str] = Counter()
    for module in package_modules():
        lines[module.room] += module.line_count
    return lines


class TestRooms:
    def test_hold_no_more_than_one_can_keep_in_mind(self) -> None:
        lines = lines_by_room()
        # The emulator is no part of the app's own work.
        limit = 0.16 * lines.total()
        assert {room: n for room, n in lines.items() if n > limit and room != "emulator"} == {}

    def test_keep_services_thin(self) -> None:
        assert lines_by_room()["services"] <= 1000


class TestPackage:
    def test_keeps_nine_functions_in_ten_under_25_lines(self) -> None:
        sizes = [size_of(f) for module in package_modules() for f in module.functions()]
        assert sum(size >= 25 for size in sizes) <= len(sizes) / 10
