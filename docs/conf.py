"""The site of `make site`: the pages as they are in the repository, with search, without a network.

The source folder is the repository, so that links to the README and to files of the project work
on a forge and on the site alike. Pages contain no directives: the contents are made from the list
of pages in docs/index.md.
"""

from __future__ import annotations

import re
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

project = "creatify_textgen"
author = "creatify_textgen contributors"
copyright = author  # noqa: A001  Sphinx reads this name
PACKAGE = Path(__file__).parents[1] / "creatify_textgen"
version = release = re.findall(r'__version__ = "(.+)"', (PACKAGE / "__init__.py").read_text())[0]

extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = ["*.md", "docs/*.md", "docs/**/*.md"]
exclude_patterns = [".*", "build"]
nitpicky = True

# Forges give anchors to headings in this way, too.
myst_heading_anchors = 4

html_theme = "furo"
html_title = "creatify_textgen"
html_show_sphinx = False
html_static_path: list[str] = []
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    # The browser's fonts: the site loads nothing from elsewhere.
    "light_css_variables": {
        "font-stack": "system-ui, sans-serif",
        "font-stack--monospace": "ui-monospace, monospace",
    },
}

SECTION = re.compile(r"^## (?P<caption>[^\n]+)$(?P<body>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
PAGE = re.compile(r"\]\((?P<page>[^)#]+)\.md\)")


def contents(index: str) -> str:
    """Return a hidden table of contents for each section of the list of pages."""
    return "\n\n".join(
        table(PAGE.findall(section["body"]), caption=section["caption"])
        for section in SECTION.finditer(index)
    )


def table(pages: list[str], *, caption: str) -> str:
    return "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```"])


def add_contents(app: Sphinx, docname: str, source: list[str]) -> None:
    if docname == root_doc:
        source[0] += "\n" + contents(source[0])
    elif docname == "docs/adr/README":
        source[0] += "\n" + table(PAGE.findall(source[0]), caption="Decisions")


def add_front_page(app: Sphinx, error: Exception | None) -> None:
    """Lead from the root of the site to the list of pages."""
    page = '<!doctype html><title>{}</title><meta http-equiv="refresh" content="0; url=docs/">'
    (Path(app.outdir) / "index.html").write_text(page.format(project), encoding="utf-8")


def setup(app: Sphinx) -> None:
    # Forges draw these; here they are text.
    app.add_lexer("mermaid", TextLexer)
    app.connect("source-read", add_contents)
    app.connect("build-finished", add_front_page)
