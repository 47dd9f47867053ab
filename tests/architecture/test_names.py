"""What the public modules say they offer is what they offer, and the error tree is as drawn."""

from __future__ import annotations

import ast
import importlib
import inspect
from types import ModuleType

import pytest

from creatify_textgen import exceptions
from tests.architecture.source import package_modules

PUBLIC = ["exceptions", "signals", "remote", "services"]


def offered_names(room: str) -> set[str]:
    """Return what a module defines, or a package takes from the app's modules, for others."""
    tree = next(module.tree for module in package_modules() if module.name == room)
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.ImportFrom) and _is_own(node):
            names |= {alias.asname or alias.name for alias in node.names}
    return {name for name in names if not name.startswith("_")}


def _is_own(node: ast.ImportFrom) -> bool:
    return bool(node.level) or (node.module or "").startswith("creatify_textgen.")


def drawn_tree(docstring: str) -> dict[str, str | None]:
    """Return each class of a drawing with the class above it."""
    parents: dict[str, str | None] = {}
    branch: list[str] = []
    for line in docstring.splitlines():
        name = line.lstrip("│├└─ ").split(" ")[0]
        if not name.endswith(("Error", "Refusal")) or (not branch and line != name):
            continue
        depth = (len(line) - len(line.lstrip("│├└─ "))) // 4
        branch[depth:] = [name]
        parents[name] = branch[depth - 1] if depth else None
    return parents


def real_tree(module: ModuleType) -> dict[str, str | None]:
    classes = [
        c for _, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == module.__name__
    ]
    return {c.__name__: None if c.__base__ is Exception else c.__base__.__name__ for c in classes}


@pytest.mark.parametrize("room", PUBLIC)
class TestPublicNames:
    def test_are_all_that_is_offered(self, room: str) -> None:
        module = importlib.import_module(f"creatify_textgen.{room}")
        assert set(module.__all__) == offered_names(room)

    def test_are_listed_once(self, room: str) -> None:
        names = importlib.import_module(f"creatify_textgen.{room}").__all__
        assert len(names) == len(set(names))

    def test_exist(self, room: str) -> None:
        module = importlib.import_module(f"creatify_textgen.{room}")
        assert [name for name in module.__all__ if not hasattr(module, name)] == []


class TestErrors:
    def test_are_a_tree_as_drawn(self) -> None:
        assert drawn_tree(inspect.getdoc(exceptions) or "") == real_tree(exceptions)

    def test_each_carry_a_code_and_whether_to_retry(self) -> None:
        classes = [getattr(exceptions, name) for name in exceptions.__all__]
        assert all(isinstance(c.code, str) and isinstance(c.retryable, bool) for c in classes)
