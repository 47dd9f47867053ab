"""Media in the database and the storage: once a content, one row an owner, nothing half made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.files.storage import FileSystemStorage, InMemoryStorage, storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError

from creatify_textgen.exceptions import RequestError, TextgenError
from creatify_textgen.intake.media import get_media_for, open_media
from creatify_textgen.models import Media
from creatify_textgen.services import store_media
from tests.bad_requests import PNG, PNG_TEXT

pytestmark = pytest.mark.django_db

DIGEST = hashlib.sha256(PNG).hexdigest()
NAME = f"creatify_textgen_media/{DIGEST[:2]}/{DIGEST}.png"


@pytest.fixture
def folder(settings: Any, tmp_path: Path) -> Path:
    """Return the folder of a storage on disk, chosen by MEDIA_STORAGE."""
    backend = "django.core.files.storage.FileSystemStorage"
    disk = {"BACKEND": backend, "OPTIONS": {"location": str(tmp_path / "stored")}}
    settings.STORAGES = {**settings.STORAGES, "disk": disk}
    settings.CREATIFY_TEXTGEN = {"MEDIA_STORAGE": "disk"}
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path)
    return tmp_path / "stored"


@pytest.fixture(autouse=True)
def empty_storage(settings: Any) -> None:
    # Set again, so that the storage in memory begins empty.
    settings.STORAGES = dict(settings.STORAGES)


@pytest.fixture
def ada() -> User:
    return User.objects.create(username="ada")


@pytest.fixture
def ben() -> User:
    return User.objects.create(username="ben")


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


class TestStoreMedia:
    def test_stores_the_bytes_under_their_hash(self, folder: Path, ada: User) -> None:
        media = store_media(PNG, owner=ada)
        assert (media.kind, media.mime_type, media.size) == ("image", "image/png", len(PNG))
        assert (media.sha256, media.path, media.owner) == (DIGEST, NAME, ada)
        assert (folder / NAME).read_bytes() == PNG

    def test_stores_the_same_content_once(self, folder: Path, ada: User, monkeypatch: Any) -> None:
        first = store_media(PNG, owner=ada)
        monkeypatch.setattr(FileSystemStorage, "save", None)
        again = store_media(SimpleUploadedFile("b.png", PNG, "image/png"), owner=ada)
        assert again.pk == first.pk
        assert files_in(folder) == [NAME]

    def test_gives_each_owner_a_row_and_all_one_file(
        self, folder: Path, ada: User, ben: User
    ) -> None:
        rows = [store_media(PNG, owner=owner) for owner in (ada, ben, None, None)]
        assert len({row.pk for row in rows}) == 3
        assert files_in(folder) == [NAME]

    def test_names_the_file_by_content_not_by_declaration(self, folder: Path) -> None:
        video = b"\x00\x00\x00\x18ftypqt  \x20\x07\x09\x00qt  "
        kinds = ("video/mov", "video/quicktime", "video/mp4")
        rows = [store_media(video, mime_type=name) for name in kinds]
        assert [row.mime_type for row in rows] == list(kinds)
        assert len(files_in(folder)) == 1

    def test_takes_an_unknown_declaration_for_none(self) -> None:
        assert store_media(PNG, mime_type="application/octet-stream").mime_type == "image/png"

    @pytest.mark.parametrize(
        ("arguments", "field"),
        [
            ({"file": b"hello"}, "file"),
            ({"file": b""}, "file"),
            ({"file": PNG, "mime_type": "text/html"}, "mime_type"),
            ({"file": PNG, "mime_type": "image/gif"}, "mime_type"),
            ({"file": PNG, "kind": "sound"}, "kind"),
            ({"file": PNG, "kind": "video"}, "file"),
        ],
    )
    def test_refuses_and_leaves_nothing(self, folder: Path, arguments: Any, field: str) -> None:
        file = arguments.pop("file")
        with pytest.raises(RequestError) as caught:
            store_media(file, **arguments)
        assert list(caught.value.errors) == [field]
        assert field in str(caught.value)
        assert not Media.objects.exists()
        assert not folder.exists()


class TestBrokenStorage:
    def test_leaves_nothing_half_made_on_a_full_disk(self, folder: Path, monkeypatch: Any) -> None:
        real = FileSystemStorage._save

        def full(storage: FileSystemStorage, name: str, content: Any) -> str:
            real(storage, name, _Chunks(PNG[:20]))
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(FileSystemStorage, "_save", full)
        with pytest.raises(TextgenError) as caught:
            store_media(PNG)
        assert caught.value.code == "media_storage_failed"
        assert not isinstance(caught.value, RequestError)
        assert files_in(folder) == []
        assert not Media.objects.exists()
        assert list(folder.parent.glob("tmp*")) == []

    def test_translates_what_a_vendor_raises(self, monkeypatch: Any) -> None:
        class VendorError(Exception):
            pass

        def broken(*_: Any, **__: Any) -> Any:
            raise VendorError("bucket key AKIA-secret")

        monkeypatch.setattr(InMemoryStorage, "exists", broken)
        with pytest.raises(TextgenError) as caught:
            store_media(PNG)
        assert caught.value.code == "media_storage_failed"
        assert "AKIA" not in str(caught.value)

    def test_does_not_believe_a_file_that_a_crash_cut(self, folder: Path) -> None:
        (folder / NAME).parent.mkdir(parents=True)
        (folder / NAME).write_bytes(PNG[:20])
        media = store_media(PNG)
        with open_media(media) as file:
            assert file.read() == PNG

    def test_writes_again_what_was_lost(self, folder: Path, ada: User) -> None:
        media = store_media(PNG, owner=ada)
        (folder / NAME).unlink()
        assert store_media(PNG, owner=ada).pk == media.pk
        assert (folder / NAME).read_bytes() == PNG

    def test_keeps_one_file_where_another_process_was_first(
        self, folder: Path, monkeypatch: Any
    ) -> None:
        real = FileSystemStorage.save

        def second(storage: FileSystemStorage, name: str, content: Any, **options: Any) -> str:
            monkeypatch.setattr(FileSystemStorage, "save", real)
            real(storage, name, _Chunks(PNG))
            return real(storage, name, content, **options)

        monkeypatch.setattr(FileSystemStorage, "save", second)
        assert store_media(PNG).path == NAME
        assert files_in(folder) == [NAME]


class TestOpenMedia:
    def test_opens_the_stored_bytes(self) -> None:
        with open_media(store_media(PNG_TEXT, mime_type="image/png")) as file:
            assert file.read() == PNG

    def test_says_so_where_the_file_is_gone(self) -> None:
        media = store_media(PNG)
        storages["default"].delete(media.path)
        with pytest.raises(RequestError) as caught:
            open_media(media)
        assert caught.value.code == "media_missing"


class TestGetMediaFor:
    def test_finds_the_own(self, ada: User) -> None:
        media = store_media(PNG, owner=ada)
        assert get_media_for(ada, media.pk) == media
        assert get_media_for(ada, str(media.pk)) == media
        shared = store_media(PNG)
        assert get_media_for(None, shared.pk) == shared

    def test_finds_nobody_else_s(self, ada: User, ben: User) -> None:
        own, shared = store_media(PNG, owner=ada), store_media(PNG)
        for user, media_id in [
            (ben, own.pk),
            (None, own.pk),
            (ada, shared.pk),
            (AnonymousUser(), shared.pk),
            (ada, uuid4()),
            (ada, "7"),
            (ada, None),
        ]:
            with pytest.raises(RequestError) as caught:
                get_media_for(user, media_id)  # type: ignore[arg-type]
            assert caught.value.code == "media_not_found"


class _Chunks:
    """The least that a storage asks of what it saves."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        yield self.content


def test_database_holds_one_row_an_owner_and_content(ada: User) -> None:
    media = store_media(PNG, owner=ada)
    media.pk = uuid4()
    with pytest.raises(IntegrityError):
        media.save(force_insert=True)
