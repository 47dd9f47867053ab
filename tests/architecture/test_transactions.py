"""Only `databases` opens transactions: it knows the alias and the isolation level."""

from __future__ import annotations

import ast

from tests.architecture.source import package_modules

OPENER = "databases"


def test_are_opened_by_one_module() -> None:
    found = {
        f"{module.name}:{node.lineno}"
        for module in package_modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and node.attr == "atomic" and module.name != OPENER
    }
    assert found == set()
