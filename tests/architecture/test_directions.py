"""Directions that import-linter cannot see: parts of packages, and the standard library."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.source import package_modules

FORBIDDEN = {
    "services": ("django.http", "django.views", "django.shortcuts"),
    "lifecycle": ("django.http", "urllib.request", "http.client", "socket"),
    "models": ("django.http", "urllib.request", "http.client", "socket"),
    "remote": ("asyncio", "subprocess"),
    # Pure: a decision is a value, and the caller brings the clock and the socket.
    "remote.contract": ("requests", "socket", "threading", "time"),
    "remote.protocol": ("requests", "socket", "threading", "time"),
    "remote.retry": ("requests", "socket", "threading", "time"),
    "remote.sse": ("requests", "socket", "threading", "time"),
    "states": ("django.db.connection", "django.db.transaction"),
}


class TestRoom:
    @pytest.mark.parametrize("room", FORBIDDEN)
    def test_leaves_alone_what_is_not_its_work(self, room: str) -> None:
        imported = {
            name
            for module in package_modules()
            if module.name == room or module.name.startswith(f"{room}.")
            for name in module.imported_names()
        }
        strangers = FORBIDDEN[room]
        assert [
            n for n in imported if n in strangers or n.startswith(tuple(f"{s}." for s in strangers))
        ] == []


class TestRemote:
    def test_never_sleeps(self) -> None:
        sleepers = [
            module.name
            for module in package_modules()
            if module.room == "remote"
            for node in ast.walk(module.tree)
            if "sleep" in {getattr(node, "attr", None), getattr(node, "id", None)}
        ]
        assert sleepers == []
