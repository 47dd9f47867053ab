"""Mutates what mutmut leaves alone: tables, constants, fields, SQL and decorated functions.

Of `states`, which is nothing else, unless files are named.

usage: .venv/bin/python .ci/mutate_tables.py [FILE…]

Each mutant is one slip in one file of a copy of this folder; one that no test notices is printed.
"""

from __future__ import annotations

import ast
import copy
import os
import shutil
import signal
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

# Here, before the forks, so that each need not read them.
import celery  # noqa: F401
import django.db.models
import django.test  # noqa: F401
import pytest
import requests  # noqa: F401

ROOT = Path(__file__).resolve().parents[1]
STATES = "creatify_textgen/states.py"
WORKERS = int(os.environ.get("CHILDREN", "2"))
SECONDS = 120
"""A mutant whose tests take longer hangs, which is noticed."""
COPIED = ("creatify_textgen", "tests", "pyproject.toml")


class Mutant(NamedTuple):
    file: str
    title: str
    source: str


Edit = tuple[str, Callable[[ast.AST], None]]
"""What is changed, in words, and what changes it in a copy of the tree's node."""

SQL_SLIPS = (
    (" < ", " > "),
    (" > ", " < "),
    ("+ 1", "+ 2"),
    ("polls = 0", "polls = 1"),
    ("claim = NULL", "claim = claim"),
    ("IS NULL", "IS NOT NULL"),
    ("NOT IN", "IN"),
)
SWAPPED: dict[type[ast.AST], ast.AST] = {
    ast.In: ast.NotIn(),
    ast.NotIn: ast.In(),
    ast.Is: ast.IsNot(),
    ast.IsNot: ast.Is(),
    ast.Eq: ast.NotEq(),
    ast.NotEq: ast.Eq(),
    ast.Add: ast.Sub(),
    ast.Sub: ast.Add(),
    ast.And: ast.Or(),
    ast.Or: ast.And(),
}
MEMBERS = [
    "QUEUED",
    "SUBMITTING",
    "UNCONFIRMED",
    "PENDING",
    "RUNNING",
    "EXPIRED",
    "DONE",
    "FAILED",
    "CANCELLED",
]


def main() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutmut"]
    files = sys.argv[1:] or [STATES]
    mutants = [Mutant(file, *slip) for file in files for slip in mutants_of(ROOT / file)]
    killed = 0
    with tempfile.TemporaryDirectory() as parent:
        folders = [copy_to(Path(parent) / str(number)) for number in range(WORKERS)]
        untouched = [Mutant(file, "", (ROOT / file).read_text()) for file in files]
        for mutant, passed in tried(untouched, folders, config):
            if not passed:
                sys.exit(f"The tests of {mutant.file} fail as it is.")
        for mutant, survived in tried(mutants, folders, config):
            killed += not survived
            if survived:
                print(f"survived: {mutant.file}: {mutant.title}", flush=True)
    print(f"tables: {killed} of {len(mutants)} killed ({killed / len(mutants):.1%})")
    sys.exit(killed < 0.9 * len(mutants))


def tried(
    mutants: list[Mutant], folders: list[Path], config: dict[str, list[str]]
) -> Iterator[tuple[Mutant, bool]]:
    """Give each mutant, and whether its tests passed; as many at once as there are folders."""
    waiting, free = mutants[::-1], list(folders)
    running: dict[int, tuple[Mutant, Path]] = {}
    while waiting or running:
        if waiting and free:
            mutant, folder = waiting.pop(), free.pop()
            (folder / mutant.file).write_text(mutant.source)
            running[start(folder, mutant.file, config)] = mutant, folder
            continue
        process, status = os.wait()
        mutant, folder = running.pop(process)
        shutil.copy(ROOT / mutant.file, folder / mutant.file)
        free.append(folder)
        yield mutant, status == 0


def start(folder: Path, file: str, config: dict[str, list[str]]) -> int:
    """Run, in a process of its own, what may notice: first what has the file's name."""
    sys.stdout.flush()
    if process := os.fork():
        return process
    signal.alarm(SECONDS)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    tests = ["tests/unit/test_states.py"]
    if file != STATES:
        tests = [
            str(path) for path in Path().glob(f"tests/integration/*/test_{Path(file).stem}.py")
        ]
        tests += config["pytest_add_cli_args_test_selection"]
    options = [*config["pytest_add_cli_args"], "-qx", "-p", "no:cacheprovider"]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    try:
        os._exit(int(pytest.main([*options, *tests])))
    finally:
        os._exit(1)


def copy_to(folder: Path) -> Path:
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name)
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def mutants_of(path: Path) -> Iterator[tuple[str, str]]:
    """Give each slip in words, and the source with it."""
    tree = ast.parse(path.read_text())
    for index, node in enumerate(list(ast.walk(tree))):
        if index not in (allowed := mutable_nodes(tree)):
            continue
        for title, edit in edits_of(node):
            mutated = copy.deepcopy(tree)
            edit(list(ast.walk(mutated))[index])
            yield f"line {allowed[index]}: {title}", ast.unparse(mutated)


def mutable_nodes(tree: ast.Module) -> dict[int, int]:
    """Return the places, in the order of a walk, of what mutmut leaves alone, with their lines."""
    lines = {id(node): line for part in left_alone(tree.body) for node, line in inside(part)}
    return {
        index: lines[id(node)] for index, node in enumerate(ast.walk(tree)) if id(node) in lines
    }


def left_alone(body: list[ast.stmt]) -> Iterator[ast.AST]:
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            yield from left_alone(statement.body)
        elif isinstance(statement, ast.FunctionDef) and statement.decorator_list:
            yield from statement.body
        elif isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value:
            target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
            if ast.unparse(target) not in ("__all__", "logger", "Result", "S"):
                yield statement.value


def inside(part: ast.AST) -> Iterator[tuple[ast.AST, int]]:
    """Walk over what a statement does; a text that stands alone is documentation."""
    if isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant):
        return
    for node in ast.walk(part):
        yield node, getattr(node, "lineno", getattr(part, "lineno", 0))


def edits_of(node: ast.AST) -> Iterator[Edit]:
    if isinstance(node, ast.Constant):
        yield from edits_of_constant(node.value)
    elif isinstance(node, ast.Dict | ast.Set | ast.Tuple):
        for index, part in enumerate(node.keys if isinstance(node, ast.Dict) else node.elts):
            yield f"without {ast.unparse(part) if part else '**'}", dropping(index)
    elif isinstance(node, ast.Attribute) and node.attr in MEMBERS:
        other = MEMBERS[(MEMBERS.index(node.attr) + 1) % len(MEMBERS)]
        yield f"{node.attr} -> {other}", setting("attr", other)
    else:
        yield from edits_of_operator(node)


def edits_of_constant(value: object) -> Iterator[Edit]:
    match value:
        case bool():
            yield f"{value} -> {not value}", setting("value", not value)
        case int() | float():
            yield f"{value} -> {value + 1}", setting("value", value + 1)
        case str():
            yield from edits_of_text(value)


def edits_of_operator(node: ast.AST) -> Iterator[Edit]:
    match node:
        case ast.Compare(ops=[operator]) if type(operator) in SWAPPED:
            swapped = SWAPPED[type(operator)]
            yield f"other way round: {ast.unparse(node)}", setting("ops", [swapped])
        case ast.BinOp(op=operator) | ast.BoolOp(op=operator) if type(operator) in SWAPPED:
            swapped = SWAPPED[type(operator)]
            yield f"other operator: {ast.unparse(node)}", setting("op", swapped)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield f"not {ast.unparse(operand)}, never", setting("operand", ast.Constant(True))
        case ast.IfExp():
            yield "always as if so", setting("test", ast.Constant(True))
            yield "always as if not", setting("test", ast.Constant(False))


def edits_of_text(text: str) -> Iterator[Edit]:
    if "\n" not in text:
        yield f"{text!r} -> 'XX{text}'", setting("value", f"XX{text}")
        return
    for found, slip in SQL_SLIPS:
        start = text.find(found)
        while start >= 0:
            slipped = text[:start] + slip + text[start + len(found) :]
            line = text[: start + 1].count("\n") + 1
            yield f"SQL line {line}: {found!r} -> {slip!r}", setting("value", slipped)
            start = text.find(found, start + 1)


def setting(name: str, value: object) -> Callable[[ast.AST], None]:
    return lambda node: setattr(node, name, value)


def dropping(index: int) -> Callable[[ast.AST], None]:
    def drop(node: ast.AST) -> None:
        if isinstance(node, ast.Dict):
            del node.keys[index], node.values[index]
        elif isinstance(node, ast.Set) and len(node.elts) == 1:
            # Without its only element it would be a dict.
            node.elts = [ast.Starred(ast.Tuple([], ast.Load()))]
        elif isinstance(node, ast.Set | ast.Tuple):
            del node.elts[index]

    return drop


if __name__ == "__main__":
    main()
