"""Reads the constructed answers of `tests/samples`."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[2] / "samples"


def sample(name: str) -> bytes:
    return (FOLDER / name).read_bytes()
