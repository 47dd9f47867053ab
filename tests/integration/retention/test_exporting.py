"""Everything that is known of a person, as JSON with media; and who reads others' content."""

from __future__ import annotations

import errno
import io
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files import File
from django.core.files.storage import storages
from django.core.management import call_command
from django.core.management.base import CommandError

from creatify_textgen import clock, services
from creatify_textgen.chat import Conversation, Run, Step, ToolCall
from creatify_textgen.exceptions import RequestError
from creatify_textgen.models import Media
from creatify_textgen.states import Cause, Status
from tests.factories import HELLO

from .conftest import Make

pytestmark = pytest.mark.django_db


def export(user: User, **options: Any) -> tuple[dict[str, Any], zipfile.ZipFile]:
    file = io.BytesIO()
    services.export(user, file, **options)
    archive = zipfile.ZipFile(file)
    assert archive.testzip() is None
    return json.loads(archive.read("data.json")), archive


class TestExport:
    def test_has_requests_answers_costs_and_timelines(self, make: Make, ada: User) -> None:
        row = make(ada, credits_used="0.1234567891")
        row.events.create(at=row.created_at, status="done", cause=Cause.POLL)
        data, _ = export(ada)
        assert data["username"] == "ada"
        [exported] = data["generations"]
        assert (exported["id"], exported["status"], exported["metadata"]) == (
            str(row.pk),
            "done",
            {"order": 17},
        )
        assert (exported["messages"], exported["response_text"]) == (HELLO, "Hi")
        assert exported["credits_used"] == "0.1234567891"
        assert exported["events"][0]["cause"] == "poll"
        assert not {"fingerprint", "idempotency_hash", "claim"} & set(exported)

    def test_has_the_files(self, make: Make, store: Any, ada: User) -> None:
        media = store(ada)
        make(ada, media=media)
        data, archive = export(ada)
        [exported] = data["media"]
        assert exported["id"] in data["generations"][0]["media"]
        with services.open_media(media) as stored:
            assert archive.read(exported["file"]) == stored.read()

    def test_has_nothing_of_anybody_else(
        self, make: Make, store: Any, ada: User, ben: User
    ) -> None:
        make(ben, media=store(ben))
        make(None)
        data, archive = export(ada)
        assert (data["generations"], data["media"], archive.namelist()) == ([], [], ["data.json"])

    def test_has_conversations_and_all_else_with_an_owner(self, ada: User) -> None:
        Conversation.start(owner=ada, title="Holidays", system_instruction="Be brief.")
        data, _ = export(ada)
        [exported] = data["conversation"]
        assert (exported["title"], exported["system_instruction"]) == ("Holidays", "Be brief.")
        assert data["usageday"] == []

    def test_has_what_belongs_to_conversations_and_runs(self, make: Make, ada: User) -> None:
        row = make(ada)
        conversation = Conversation.start(owner=ada)
        conversation.turns.create(number=1, generation=row, key="a" * 64)
        run = Run.objects.create(owner=ada, limit=3, due_at=row.created_at)
        step = Step.objects.create(run=run, number=1, generation=row)
        ToolCall.objects.create(step=step, position=0, name="look_up", response={"found": 1})
        data, _ = export(ada)
        [turn], [exported], [call] = data["turn"], data["step"], data["toolcall"]
        assert (turn["conversation"], turn["generation"]) == (str(conversation.pk), str(row.pk))
        assert "key" not in turn
        assert (exported["run"], exported["generation"]) == (str(run.pk), str(row.pk))
        assert (call["name"], call["response"]) == ("look_up", {"found": 1})

    def test_has_what_the_person_did_without_the_content_of_others(
        self, make: Make, ada: User, ben: User
    ) -> None:
        row = make(ben)
        run = Run.objects.create(owner=ben, limit=3, due_at=row.created_at)
        step = Step.objects.create(run=run, number=1, generation=row)
        ToolCall.objects.create(
            step=step, position=0, name="look_up", response={"found": 1}, decided_by=ada
        )
        services.pause_sending(reason="A bill.", by=ada)
        data, _ = export(ada)
        [call], [pause] = data["toolcall_decided_by"], data["pause_paused_by"]
        assert (call["name"], "response" in call) == ("look_up", False)
        assert pause["reason"] == "A bill."
        assert (data["toolcall"], data["bulkjob_requested_by"]) == ([], [])

    def test_has_more_rows_than_are_held_at_once(
        self, make: Make, ada: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("creatify_textgen.retention.exporting.SLICE", 2)
        ids = {str(make(ada).pk) for _ in range(5)}
        data, _ = export(ada)
        assert {exported["id"] for exported in data["generations"]} == ids

    def test_has_times_with_their_zone(self, make: Make, ada: User, settings: Any) -> None:
        settings.USE_TZ, settings.TIME_ZONE = False, "Asia/Tokyo"
        at = clock.to_stored(datetime(2026, 1, 1, 18, tzinfo=UTC))
        row = make(ada, created_at=at, finished_at=None)
        row.events.create(at=row.created_at, status="done", cause=Cause.POLL)
        [exported] = export(ada)[0]["generations"]
        assert exported["created_at"] == "2026-01-01T18:00:00Z"
        assert exported["events"][0]["at"] == "2026-01-01T18:00:00Z"

    def test_has_nothing_that_was_erased(self, make: Make, ada: User) -> None:
        make(ada)
        make(ada, status=Status.PENDING, finished_at=None)
        services.erase(ada)
        data, _ = export(ada)
        assert [exported["messages"] for exported in data["generations"]] == [[], []]

    def test_names_files_that_are_missing(self, store: Any, ada: User) -> None:
        media = store(ada)
        storages["default"].delete(media.path)
        report = services.export(ada, io.BytesIO())
        assert (report.media, report.missing_media) == (0, [str(media.pk)])
        assert Media.objects.count() == 1

    def test_names_files_that_the_storage_fails_to_read(
        self, store: Any, ada: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class VendorError(Exception):
            """Storages raise what their vendor's library raises."""

        def fail(*_: Any) -> bytes:
            raise VendorError

        media = store(ada)
        monkeypatch.setattr(File, "read", fail, raising=False)
        file = io.BytesIO()
        report = services.export(ada, file)
        assert (report.media, report.missing_media) == (0, [str(media.pk)])
        assert zipfile.ZipFile(file).namelist() == ["data.json"]

    def test_fails_if_a_file_cannot_be_written(self, store: Any, ada: User) -> None:
        class FullDisk(io.BytesIO):
            def write(self, block: Any) -> int:
                if b"media/" in bytes(block):  # The head of the entry.
                    raise OSError(errno.ENOSPC, "No space left on device")
                return super().write(block)

        store(ada)
        with pytest.raises(OSError, match="No space left"):
            services.export(ada, FullDisk())

    @pytest.mark.parametrize("owner", [None, "ada"])
    def test_refuses_what_is_no_user(self, owner: Any) -> None:
        with pytest.raises(RequestError):
            services.export(owner, io.BytesIO())


class TestCommand:
    def test_writes_a_file_for_its_user_alone(
        self, make: Make, ada: User, tmp_path: Path, capsys: Any
    ) -> None:
        make(ada)
        path = tmp_path / "ada.zip"
        call_command("textgen_export", "ada", str(path))
        assert "Wrote 1 generations and 0 media." in capsys.readouterr().out
        assert path.stat().st_mode & 0o077 == 0
        assert zipfile.ZipFile(path).namelist() == ["data.json"]

    def test_overwrites_nothing(self, ada: User, tmp_path: Path) -> None:
        path = tmp_path / "ada.zip"
        path.write_text("mine")
        with pytest.raises(CommandError, match="could not be written: File exists"):
            call_command("textgen_export", "ada", str(path))
        assert path.read_text() == "mine"

    def test_leaves_no_half_of_a_file(
        self, ada: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fill_the_disk(*_: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(services, "export", fill_the_disk)
        path = tmp_path / "ada.zip"
        with pytest.raises(CommandError, match="could not be written: No space left"):
            call_command("textgen_export", "ada", str(path))
        assert not path.exists()


class TestReads:
    @pytest.fixture(autouse=True)
    def _record(self, settings: Any) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "RECORD_READS": True}

    def test_are_in_the_timeline(self, make: Make, ada: User, ben: User) -> None:
        row = make(ada)
        export(ada, by=ben)
        event = row.events.get()
        assert (event.cause, event.status) == (Cause.RETENTION, "done")
        assert event.detail == f"read by user {ben.pk} in an export"

    def test_of_owners_are_not(self, make: Make, ada: User) -> None:
        row = make(ada)
        export(ada, by=ada)
        assert not row.events.exists()

    def test_are_not_without_the_setting(
        self, make: Make, settings: Any, ada: User, ben: User
    ) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "RECORD_READS": False}
        row = make(ada)
        export(ada, by=ben)
        assert not row.events.exists()
