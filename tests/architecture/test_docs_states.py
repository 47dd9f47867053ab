"""The documented life of a generation is the one in the tables."""

from __future__ import annotations

import re

from creatify_textgen.states import TERMINAL, TRANSITIONS, Status
from tests.architecture.source import ROOT

PAGE = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
ARROW = re.compile(r"^ {4}(\S+) --> (\S+)$", re.MULTILINE)


def drawn() -> set[tuple[str, str]]:
    return set(ARROW.findall(PAGE))


class TestDrawing:
    def test_has_the_arrows_of_the_table(self) -> None:
        table = {
            (str(source), str(to)) for source, targets in TRANSITIONS.items() for to in targets
        }
        assert {(source, to) for source, to in drawn() if "[*]" not in (source, to)} == table

    def test_begins_queued_and_ends_where_nothing_follows(self) -> None:
        assert {to for source, to in drawn() if source == "[*]"} == {"queued"}
        assert {source for source, to in drawn() if to == "[*]"} == {str(s) for s in TERMINAL}


class TestTable:
    def test_explains_each_status(self) -> None:
        _, _, table = PAGE.partition("| status | means |")
        rows = re.findall(
            r"^\| ((?:`[a-z]+`(?:, )?)+) \|", table.partition("\n\n")[0], re.MULTILINE
        )
        assert sorted(re.findall("`([a-z]+)`", "".join(rows))) == sorted(map(str, Status))
