"""The list of faults that `make faultsback` puts back, and its table in the documentation."""

from __future__ import annotations

import tomllib

from tests.architecture.source import ROOT

HEADING = "## Faults put back\n"
ENTRIES = tomllib.loads((ROOT / ".ci" / "faults.toml").read_text())["fault"]


def named_tests(entry: dict[str, str | list[str]]) -> list[str]:
    tests = entry["test"]
    return [tests] if isinstance(tests, str) else tests


class TestFaults:
    def test_are_the_rows_of_the_table(self) -> None:
        _, _, section = (
            (ROOT / "docs" / "explanation" / "reliability.md").read_text().partition(HEADING)
        )
        lines = [line for line in section.partition("\n## ")[0].splitlines() if line[:1] == "|"]
        expected = [
            f"| {entry['name']} | `{entry['file']}` | "
            + ", ".join(f"`{test}`" for test in named_tests(entry))
            + " |"
            for entry in ENTRIES
        ]
        assert lines[2:] == expected

    def test_have_names_of_their_own(self) -> None:
        assert len({entry["name"] for entry in ENTRIES}) == len(ENTRIES)

    def test_have_one_place_in_the_code(self) -> None:
        lost = [
            entry["name"]
            for entry in ENTRIES
            if (ROOT / entry["file"]).read_text().count(entry["old"]) != 1
        ]
        assert not lost

    def test_name_tests_that_are_there(self) -> None:
        lost = [
            test
            for entry in ENTRIES
            for test in named_tests(entry)
            if not is_there(*test.partition("[")[0].split("::"))
        ]
        assert not lost


def is_there(path: str, *names: str) -> bool:
    source = (ROOT / path).read_text() if (ROOT / path).exists() else ""
    return bool(source) and all(f"{name}(" in source or f"{name}:" in source for name in names)
