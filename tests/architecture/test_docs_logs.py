"""The documented loggers are the ones that the code logs to, and there are no others."""

from __future__ import annotations

import ast
import logging
import re

from creatify_textgen import logs
from tests.architecture.source import ROOT, package_modules

ROW = re.compile(r"^\| `(creatify_textgen\.\w+)` \|", re.MULTILINE)


def documented() -> set[str]:
    return set(ROW.findall((ROOT / "docs/how-to/logging.md").read_text(encoding="utf-8")))


class TestLoggers:
    def test_are_documented(self) -> None:
        named = {value.name for value in vars(logs).values() if isinstance(value, logging.Logger)}
        assert documented() == named

    def test_are_made_in_one_module(self) -> None:
        makers = {
            module.name
            for module in package_modules()
            if module.room != "emulator"
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Attribute) and node.attr == "getLogger"
        }
        assert makers == {"logs"}
