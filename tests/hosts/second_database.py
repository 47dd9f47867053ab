"""A further SQLite database of a host project."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from tests.databases import database_from_url


def sqlite_file(name: str) -> dict[str, Any]:
    """Return the entry of `DATABASES` for a file of this process."""
    path = Path(tempfile.gettempdir()) / f"textgen-tests-{os.getpid()}-{name}.sqlite3"
    return database_from_url(f"sqlite:///{path}")
