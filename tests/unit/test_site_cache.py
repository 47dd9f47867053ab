"""A cache that fails in any way is as one that knows nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.cache.backends.locmem import LocMemCache
from django.db import OperationalError

from creatify_textgen import site_cache

USES: dict[str, Callable[[], Any]] = {
    "get": lambda: site_cache.recall("key"),
    "set": lambda: site_cache.remember("key", 1, seconds=60),
    "add": lambda: site_cache.count("key", seconds=60),
    "incr": lambda: site_cache.count("key", seconds=60),
    "touch": lambda: site_cache.count("key", seconds=60),
}


def break_cache(monkeypatch: pytest.MonkeyPatch, method: str, error: Exception) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(LocMemCache, method, fail)


class TestCache:
    def test_remembers_and_counts(self) -> None:
        site_cache.remember("key", "value", seconds=60)
        for _ in range(2):
            site_cache.count("number", seconds=60)
        assert [site_cache.recall(key) for key in ("key", "number", "other")] == ["value", 2, None]

    def test_that_keeps_nothing_has_not_failed(
        self, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
        site_cache.count("key", seconds=60)
        assert site_cache.recall("key") is None
        assert not caplog.records

    def test_in_files_counts_for_longer_than_its_default_timeout(
        self, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        backend = "django.core.cache.backends.filebased.FileBasedCache"
        settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": tmp_path, "TIMEOUT": 60}}
        for _ in range(2):
            site_cache.count("number", seconds=1000)
        later = time.time() + 100
        monkeypatch.setattr(time, "time", lambda: later)
        assert site_cache.recall("number") == 2

    @pytest.mark.parametrize("method", USES)
    def test_that_is_down_raises_nothing_and_is_logged_once(
        self, method: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        break_cache(monkeypatch, method, ConnectionError("redis://:secret@cache"))
        assert [USES[method](), USES[method]()] == [None, None]
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "secret" not in caplog.text

    @pytest.mark.parametrize("method", USES)
    def test_in_a_database_that_fails_raises(
        self, method: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It may have broken the transaction of its caller, who must not go on."""
        break_cache(monkeypatch, method, OperationalError("gone"))
        with pytest.raises(OperationalError):
            USES[method]()
