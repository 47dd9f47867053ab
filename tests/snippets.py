"""The Python of the documentation: to run it, and to write it as modules for type checkers.

`python -m tests.snippets FOLDER` writes a module for each page. A page that defines a name again,
for a second example, goes on in a second module.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

from tests.architecture.source import ROOT
from tests.guides import Guide

TUTORIAL = ROOT / "docs" / "tutorial" / "assistant.md"
PAGES = sorted(
    page
    for page in [ROOT / "README.md", *ROOT.glob("docs/*/*.md")]
    if page.parent != TUTORIAL.parent
)
BEGUN = {
    "assistant/tests.py": "from django.test import TestCase\n",
    "assistant/tools.py": "",
    "assistant/views.py": "from django.shortcuts import render\n",
    "mysite/urls.py": """from django.urls import URLPattern, URLResolver, path
urlpatterns: list[URLPattern | URLResolver] = []
""",
}
"""The files of the tutorial to check, with what Django has written into them before."""
SNIPPET = re.compile(r"^( *)```python\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
GIVEN = '''"""{page}"""
from django.contrib.auth.models import Group as _Group, User as _User
from django.http import HttpRequest as _HttpRequest

user = _User()
request = _HttpRequest()
marketing = _Group()
png = b""
texts = ["", ""]
'''
"""What the snippets use and do not define: the names of any site."""


def python_snippets(page: Path) -> list[str]:
    found = SNIPPET.findall(page.read_text(encoding="utf-8"))
    return [re.sub(rf"^{indent}", "", code, flags=re.MULTILINE) for indent, code in found]


def definitions(code: str) -> set[str]:
    """Return the names that are defined at the top of a snippet and cannot be defined again."""
    tree = ast.parse(code, feature_version=(3, 11))
    makers = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    names = {node.name for node in tree.body if isinstance(node, makers)}
    return names | {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id.isupper()
    }


def modules(page: Path) -> list[str]:
    """Return the snippets of a page as few modules, each with what its snippets need."""
    parts: list[list[str]] = [[]]
    for code in python_snippets(page):
        if definitions(code) & {name for part in parts[-1] for name in definitions(part)}:
            parts.append([])
        parts[-1].append(code)
    name = page.relative_to(ROOT).as_posix()
    return [GIVEN.format(page=name) + "\n\n".join(part) for part in parts if part]


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.py"):
        old.unlink()
    for page in PAGES:
        for number, text in enumerate(modules(page), start=1):
            stem = re.sub(r"\W", "_", page.relative_to(ROOT).with_suffix("").as_posix())
            (folder / f"{stem}_{number}.py").write_text(text, encoding="utf-8")
    write_tutorial(folder / "tutorial")


def write_tutorial(folder: Path) -> None:
    files = Guide.read(TUTORIAL).files
    for name, begun in BEGUN.items():
        text = begun + "\n".join(code for file, code in files if file == name)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).with_name("__init__.py").touch()


if __name__ == "__main__":
    write(Path(sys.argv[1]))
