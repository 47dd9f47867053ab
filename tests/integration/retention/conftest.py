"""People with generations of every age and status, and a storage that begins empty."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import storages

from creatify_textgen import clock, services
from creatify_textgen.models import Generation, Media
from creatify_textgen.retention import tidying
from creatify_textgen.states import Status
from tests.bad_requests import PNG
from tests.factories import NOW, make_generation

Make = Callable[..., Generation]


@pytest.fixture(autouse=True)
def _empty_storage(settings: Any, still_clock: None, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.STORAGES = dict(settings.STORAGES)
    tidying._last_try().at = None


@pytest.fixture
def ada() -> User:
    return User.objects.create_user("ada")


@pytest.fixture
def ben() -> User:
    return User.objects.create_user("ben")


@pytest.fixture
def make() -> Make:
    """Return a function that saves a generation with everything that is content."""

    def make_full(owner: Any = None, *, days: int = 0, media: Any = None, **fields: Any) -> Any:
        at = NOW - timedelta(days=days)
        defaults = {
            "status": Status.DONE,
            "owner": owner,
            "excerpt": "Hello",
            "metadata": {"order": 17},
            "idempotency_hash": "1" * 64,
            "created_at": at,
            "finished_at": at,
            "credits_used": "0.5",
        }
        row = make_generation(content={"response_text": "Hi"}, **{**defaults, **fields})
        if media is not None:
            row.media.add(media)
        return row

    return make_full


@pytest.fixture
def store() -> Callable[..., Media]:
    """Return a function that stores an image of an owner, which differs by `number`."""

    def store_image(owner: Any = None, *, number: int = 0, days: int = 0) -> Media:
        media = services.store_media(PNG + bytes([number]), owner=owner, mime_type="image/png")
        Media.objects.filter(pk=media.pk).update(created_at=NOW - timedelta(days=days))
        return media

    return store_image


def stored_files() -> int:
    """Return how many files the storage holds."""
    storage: Any = storages["default"]

    def count(folder: str) -> int:
        folders, files = storage.listdir(folder)
        return len(files) + sum(count(f"{folder}/{name}".lstrip("/")) for name in folders)

    return count("")


def has_content(row: Generation) -> bool:
    """Whether the row or its content says anything of what was asked or answered."""
    fresh = Generation.objects.get(pk=row.pk)
    content = fresh.content
    said = (content.messages, content.response_text, fresh.excerpt, fresh.metadata)
    return any(said) or bool(fresh.idempotency_hash)


def now() -> Any:
    return clock.now()
