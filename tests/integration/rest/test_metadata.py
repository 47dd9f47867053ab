"""Filters by a top-level key of metadata, on every database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from .conftest import URL, make_generation

ROWS: dict[str, dict[str, Any]] = {
    "number": {"order": 17},
    "text": {"order": "17"},
    "other": {"order": 18, "nested": {"order": 17}},
    "flag": {"is paid": True, "author": "a'b", "ratio": 0.5, "ümlaut": "ä"},
    "none": {},
}


@pytest.fixture
def rows(owner: User) -> dict[str, str]:
    """Return the names of rows by their ids."""
    made = {
        name: make_generation(owner, metadata=metadata, remote_id=name)
        for name, metadata in ROWS.items()
    }
    return {str(row.pk): name for name, row in made.items()}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"metadata__order": "17"}, ["number", "text"]),
        ({"metadata__order": "18"}, ["other"]),
        ({"metadata__is paid": "true"}, ["flag"]),
        ({"metadata__ratio": "0.5"}, ["flag"]),
        ({"metadata__ümlaut": "ä"}, ["flag"]),
        ({"metadata__author": "a'b"}, ["flag"]),
        ({"metadata__order": "17", "metadata__ratio": "1"}, []),
        ({"metadata__order__gt": "1"}, []),  # no lookups, only keys
        ({"metadata__nested": "17"}, []),
        ({"metadata__order": "NaN"}, []),
        ({"metadata__order": "null"}, []),
        ({"metadata__order": "9" * 60}, []),
    ],
    ids=str,
)
def test_finds_what_has_the_value(
    api: APIClient, rows: dict[str, str], query: dict[str, str], found: list[str]
) -> None:
    results = api.get(URL, query).json()["results"]
    assert sorted(rows[row["id"]] for row in results) == found


@pytest.mark.parametrize(
    "query",
    [
        {"metadata__": "1"},
        {"metadata__17": "1"},
        {"metadata__-1": "1"},
        {'metadata__a"b': "1"},
        {"metadata__a'b": "1"},
        {"metadata__a\\b": "1"},
        {"metadata__a\x00": "1"},
        {"metadata__a": "\x00"},
        {"metadata__a": "x" * 201},
        {f"metadata__{'k' * 201}": "1"},
        {f"metadata__{index}": "1" for index in "abcdef"},
    ],
    ids=lambda query: next(iter(query))[:20],
)
def test_refuses_what_is_no_key_or_value(api: APIClient, query: dict[str, str]) -> None:
    assert api.get(URL, query).status_code == 400


def test_tells_nothing_to_staff_who_may_not_read_content(
    rows: dict[str, str], staff_with: Callable[..., APIClient]
) -> None:
    query = {"metadata__order": "18", "created_after": "2000-01-01"}
    assert staff_with("view_generation").get(URL, query).json()["results"] == []
    reads = staff_with("view_generation", "view_content")
    assert len(reads.get(URL, query).json()["results"]) == 1
