"""The media storage is full, or gone: clean errors, nothing half kept, then all as before."""

from __future__ import annotations

import base64
import errno
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import File
from django.core.files.storage import FileSystemStorage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from creatify_textgen import services
from creatify_textgen.emulator import Emulator
from creatify_textgen.exceptions import TextgenError
from creatify_textgen.models import Generation, Media
from tests.bad_requests import PNG
from tests.faults.kills.journeys import past_due

pytestmark = pytest.mark.django_db(transaction=True)

PICTURE = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image", "mime_type": "image/png", "data": base64.b64encode(PNG).decode()},
        ],
    }
]


class FailingStorage(FileSystemStorage):
    """A disk that is full, cannot be read, or is well, as the test says."""

    is_full = False
    cannot_open = False
    cannot_look = False

    def _save(self, name: str, content: File[Any]) -> str:
        if type(self).is_full:
            path = Path(self.path(name))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        return super()._save(name, content)

    def _open(self, name: str, mode: str = "rb") -> File[Any]:
        if type(self).cannot_open:
            raise OSError(errno.EIO, "Input/output error")
        return super()._open(name, mode)

    def exists(self, name: str) -> bool:
        if type(self).cannot_look:
            raise OSError(errno.EIO, "Input/output error")
        return super().exists(name)


@pytest.fixture
def disk(
    remote: Emulator, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> type[FailingStorage]:
    """Return the host's media storage."""
    for name in ("is_full", "cannot_open", "cannot_look"):
        monkeypatch.setattr(FailingStorage, name, False)
    location = {"location": str(tmp_path / "media")}
    disk = {"BACKEND": f"{__name__}.FailingStorage", "OPTIONS": location}
    settings.STORAGES = {**settings.STORAGES, "disk": disk}
    settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "MEDIA_STORAGE": "disk"}
    return FailingStorage


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def sweep_twice() -> None:
    for _ in range(2):
        past_due()
        services.sweep()


class TestFullDisk:
    def test_keeps_nothing_of_a_submit_that_passes_later(
        self, disk: type[FailingStorage], remote: Emulator, tmp_path: Path
    ) -> None:
        disk.is_full = True
        with pytest.raises(TextgenError) as caught:
            services.submit(PICTURE)
        assert caught.value.code == "media_storage_failed"
        assert (Generation.objects.count(), Media.objects.count()) == (0, 0)
        assert files_in(tmp_path / "media") == []

        disk.is_full = False
        services.submit(PICTURE)
        sweep_twice()
        assert Generation.objects.get().status == "done"
        assert remote.counters["creates"] == 1

    def test_answers_an_upload_with_503(
        self, disk: type[FailingStorage], django_user_model: Any, tmp_path: Path
    ) -> None:
        client = Client(raise_request_exception=False)
        client.force_login(django_user_model.objects.create_user("ada"))
        statuses = []
        for disk.is_full in (True, False):
            upload = SimpleUploadedFile("picture.png", PNG, content_type="image/png")
            response = client.post("/textgen/media/", {"file": upload})
            statuses.append(response.status_code)
        assert statuses == [503, 201]
        assert (Media.objects.count(), len(files_in(tmp_path / "media"))) == (1, 1)


class TestUnreadableDisk:
    @pytest.mark.parametrize("fault", ["cannot_look", "cannot_open"])
    def test_makes_a_send_wait_and_nobody_else(
        self, disk: type[FailingStorage], remote: Emulator, fault: str
    ) -> None:
        """Whether it is noticed before the send or when half of the body has left."""
        generation = services.submit(PICTURE)
        others = services.submit_many([{"messages": f"Say {number}"} for number in range(10)])
        setattr(disk, fault, True)
        sweep_twice()
        generation.refresh_from_db()
        assert (generation.status, generation.events.last().detail) == (
            "queued",
            "media_storage_failed",
        )
        done = Generation.objects.filter(status="done")
        assert done.count() == len(others)

        setattr(disk, fault, False)
        sweep_twice()
        assert done.count() == len(others) + 1
        assert remote.counters["creates"] == len(others) + 1
