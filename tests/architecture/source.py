"""The package's source as syntax trees: what the rules of this folder look at."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import creatify_textgen

PACKAGE = Path(creatify_textgen.__path__[0])
ROOT = Path(__file__).resolve().parents[2]

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, eq=False)
class Module:
    path: Path
    name: str
    """Dotted, without the package: `services.polling`; empty for the package itself."""
    tree: ast.Module
    line_count: int

    @property
    def room(self) -> str:
        return self.name.split(".")[0]

    @property
    def docstring(self) -> str:
        return ast.get_docstring(self.tree) or ""

    def functions(self) -> Iterator[FunctionNode]:
        return (node for node in ast.walk(self.tree) if isinstance(node, FunctionNode))

    def imported_names(self) -> set[str]:
        """Return every imported module, and every `module.name` of a `from` import."""
        names = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        return names


def size_of(function: FunctionNode) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def read_module(path: Path, *, base: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    parts = path.relative_to(base).with_suffix("").parts
    name = ".".join(part for part in parts if part != "__init__")
    return Module(path, name, ast.parse(text), text.count("\n"))


@cache
def package_modules() -> tuple[Module, ...]:
    """Return every module of the app but its migrations."""
    paths = sorted(PACKAGE.rglob("*.py"))
    return tuple(read_module(p, base=PACKAGE) for p in paths if "migrations" not in p.parts)


@cache
def example_modules() -> tuple[Module, ...]:
    return tuple(read_module(p, base=ROOT) for p in sorted(ROOT.glob("example_project/**/*.py")))
