"""Fixtures of pytest for hosts, which pytest finds by itself (entry point `pytest11`).

pytest imports this before Django is set up, so the app's rows are imported by the fixture alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from creatify_textgen.testing import Stub

__all__ = ["creatify_stub"]


@pytest.fixture
def creatify_stub() -> Iterator[Stub]:
    """Answer every request in this process, without a socket, a thread or a worker."""
    # Not an import at the top: pytest loads plugins before pytest-django configures the settings.
    with import_module("creatify_textgen.testing").Stub() as stub:
        yield stub
