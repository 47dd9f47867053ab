"""Prints text to the terminal. Knows nothing about generations."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["bold", "line", "note", "piece", "table", "title"]

WIDTH = 88
# Text from a model must not control the terminal.
CONTROL_CHARACTERS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def bold(text: str) -> str:
    """Return the text in bold if the output is a terminal."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\033[1m{text}\033[0m"


def title(text: str) -> None:
    line()
    line(bold(text))


def line(text: str = "") -> None:
    print(text, flush=True)


def note(text: Any) -> None:
    """Print text from Creatify as an indented paragraph."""
    clean = CONTROL_CHARACTERS.sub("\ufffd", str(text))
    line(textwrap.indent(textwrap.fill(clean, WIDTH - 4), "    "))


def piece(text: str) -> None:
    """Print a piece of a line, without ending the line."""
    print(CONTROL_CHARACTERS.sub("\ufffd", text), end="", flush=True)


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table whose columns fit their contents."""
    cells = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(head))]
    for number, row in enumerate(cells):
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        line("  " + "  ".join(padded).rstrip())
        if number == 0:
            line("  " + "  ".join("-" * width for width in widths))
