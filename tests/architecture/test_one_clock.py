"""One clock: no room asks this machine for the time, or the current zone for its offset."""

from __future__ import annotations

import re

from tests.architecture.source import PACKAGE

OWN_CLOCK = re.compile(
    r"timezone\.now\(|datetime\.now\(|datetime\.utcnow\(|make_aware\(|date\.today\("
)
ALLOWED = {
    "clock.py": "SQLite has no other clock than this machine's",
    "checks/deployment.py": "a day of the vendor's calendar",
    "admin/periods.py": "a day of the calendar of whoever looks",
    "rest/viewsets.py": "a day of the vendor's calendar",
    "remote/exchange.py": "reads a date in Retry-After, and knows no database",
}


def test_no_room_has_a_clock_of_its_own() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if "emulator" not in path.parts and OWN_CLOCK.search(path.read_text())
    }
    assert found == set(ALLOWED)
