"""Only `lifecycle` writes a status: everyone else asks it."""

from __future__ import annotations

import ast
import re

import pytest

from tests.architecture.source import package_modules

# These have their own statuses, and no rows.
WITHOUT_ROWS = {"lifecycle", "remote", "emulator", "exceptions", "states"}
RAW_UPDATE = re.compile(r"\bupdate\b.+\bset\b.+\bstatus\b", re.IGNORECASE | re.DOTALL)
WRITING_CALLS = {
    "acreate",
    "aget_or_create",
    "aupdate",
    "aupdate_or_create",
    "create",
    "get_or_create",
    "update",
    "update_or_create",
    "Generation",
}
FIELD_LISTS = {"abulk_update", "asave", "bulk_create", "bulk_update", "save", "setattr"}


def names_status(node: ast.AST) -> bool:
    return any(isinstance(n, ast.Constant) and n.value == "status" for n in ast.walk(node))


def called_name(call: ast.Call) -> str:
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def call_writes_status(call: ast.Call) -> bool:
    name = called_name(call)
    values = [*call.args, *(keyword.value for keyword in call.keywords)]
    if name in FIELD_LISTS:
        return any(names_status(value) for value in values)
    if name in WRITING_CALLS:
        named = {keyword.arg for keyword in call.keywords}
        defaults = [
            k.value for k in call.keywords if k.arg in {"defaults", "create_defaults", None}
        ]
        return "status" in named or any(names_status(value) for value in defaults)
    return False


def writes_status(node: ast.AST) -> bool:
    if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return any(isinstance(t, ast.Attribute) and t.attr == "status" for t in targets)
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and bool(RAW_UPDATE.search(node.value))
    return isinstance(node, ast.Call) and call_writes_status(node)


def lines_that_write(tree: ast.AST) -> list[int]:
    documentation = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return [n.lineno for n in ast.walk(tree) if id(n) not in documentation and writes_status(n)]


class TestStatus:
    def test_is_written_by_lifecycle_only(self) -> None:
        found = [
            f"{module.name}:{line}"
            for module in package_modules()
            if module.room not in WITHOUT_ROWS
            for line in lines_that_write(module.tree)
        ]
        assert found == []


class TestRule:
    @pytest.mark.parametrize(
        "code",
        [
            "generation.status = 'done'",
            "Generation.objects.filter(pk=1).update(status='done')",
            "await rows.aupdate(status=Status.DONE)",
            "Generation(status='done')",
            "Generation.objects.create(status='done')",
            "rows.update_or_create(pk=1, defaults={'status': 'done'})",
            "rows.update(**{'status': 'done'})",
            "rows.bulk_update(found, ['credits_used', 'status'])",
            "row.save(update_fields=['status'])",
            "setattr(row, 'status', 'done')",
            "cursor.execute('UPDATE generation SET updated_at = 1, status = 2')",
        ],
    )
    def test_sees_a_write(self, code: str) -> None:
        assert lines_that_write(ast.parse(code)) == [1]

    @pytest.mark.parametrize(
        "code",
        [
            "rows.filter(status='done')",
            "rows.update(next_poll_at=None)",
            "Response(body, status=202)",
            "row.save(update_fields=['metadata'])",
            "cursor.execute('UPDATE generation SET next_poll_at = 1')",
            "'''Only lifecycle may UPDATE and SET a status.'''",
        ],
    )
    def test_leaves_a_read_alone(self, code: str) -> None:
        assert lines_that_write(ast.parse(code)) == []
