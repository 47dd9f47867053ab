"""The documented settings are the ones the code reads, with the defaults it has."""

from __future__ import annotations

import ast
import re

import pytest

from creatify_textgen.conf import DEFAULTS
from tests.architecture.source import ROOT

ROW = re.compile(r"^\|(?P<keys>[^|]+)\|(?P<defaults>[^|]+)\|")
CODE = re.compile(r"`([^`]+)`")
PAGE = ROOT / "docs" / "reference" / "settings.md"


def documented_settings() -> dict[str, str | None]:
    """Return each key of the table with its default as written, None if it is prose."""
    rows: dict[str, str | None] = {}
    _, _, section = PAGE.read_text(encoding="utf-8").partition("## All settings\n")
    for line in section.partition("\n## ")[0].splitlines():
        match = ROW.match(line)
        keys = CODE.findall(match["keys"]) if match else []
        if not match or not keys or not all(re.fullmatch("[A-Z_]+", key) for key in keys):
            continue
        starts_as_code = match["defaults"].strip().startswith("`")
        defaults = CODE.findall(match["defaults"]) if starts_as_code else []
        rows.update({k: defaults[i] if i < len(defaults) else None for i, k in enumerate(keys)})
    return rows


DOCUMENTED = documented_settings()


class TestSettingsTable:
    def test_names_every_setting_and_no_other(self) -> None:
        assert set(DOCUMENTED) == set(DEFAULTS)

    @pytest.mark.parametrize("key", [key for key, default in DOCUMENTED.items() if default])
    def test_states_the_default(self, key: str) -> None:
        assert ast.literal_eval(DOCUMENTED[key] or "") == DEFAULTS[key]


class TestSettingsPage:
    @pytest.mark.parametrize("key", sorted(DEFAULTS))
    def test_explains_the_setting(self, key: str) -> None:
        _, _, below = PAGE.read_text(encoding="utf-8").partition("\n## Accounts\n")
        assert re.search(rf"\b{key}\b", below), f"docs/reference/settings.md does not explain {key}"
