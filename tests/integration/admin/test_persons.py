"""Erase and export everything of a person, and say who read what."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from creatify_textgen import services
from creatify_textgen.models import Generation
from creatify_textgen.states import Status

from .conftest import HISTORY
from .conftest import make_done as make

pytestmark = pytest.mark.django_db

Staff = Callable[..., Client]
ERASER = ("view_generation", "erase_generation")
EXPORTER = ("view_generation", "view_content", "export_generation")


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user("ada<b>\u202e")


def act(client: Client, action: str, *rows: Generation, **fields: Any) -> Any:
    chosen = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return client.post(HISTORY, {**chosen, **fields}, follow=True)


class TestErase:
    def test_asks_then_erases_all_of_the_owner(self, staff_with: Staff, ada: User) -> None:
        client = staff_with(*ERASER)
        rows = [make(owner=ada, excerpt="Hello") for _ in range(3)]
        page = act(client, "erase_owners", rows[0]).content.decode()
        assert "content of 3 generations and 0 files" in page
        assert "ada&lt;b&gt;" in page
        assert Generation.objects.filter(content_removed_at=None).count() == 3
        confirmed = {"erase_confirmed": "yes", "erase_shown": ada.pk}
        done = act(client, "erase_owners", rows[0], **confirmed).content.decode()
        assert "content of 3 generations and 0 files was erased" in done
        assert not Generation.objects.filter(content_removed_at=None).exists()
        assert rows[0].events.last().detail.startswith("content erased by user ")

    def test_erases_nobody_who_was_not_shown(self, staff_with: Staff, ada: User) -> None:
        client, ben = staff_with(*ERASER), User.objects.create_user("ben")
        row = make(owner=ada)
        page = act(client, "erase_owners", row, select_across="1").content.decode()
        fields = dict(re.findall(r'<input type="hidden" name="(erase_\w+)" value="(\w+)"', page))
        assert fields == {"erase_confirmed": "yes", "erase_shown": str(ada.pk)}
        make(owner=ben)
        act(client, "erase_owners", row, select_across="1", **fields)
        assert [one.owner for one in Generation.objects.filter(content_removed_at=None)] == [ben]

    def test_says_what_has_not_ended(self, staff_with: Staff, ada: User) -> None:
        row = make(owner=ada, status=Status.PENDING, due_at="2020-01-01T00:00Z")
        confirmed = {"erase_confirmed": "yes", "erase_shown": ada.pk}
        done = act(staff_with(*ERASER), "erase_owners", row, **confirmed)
        assert "1 of them have not ended" in done.content.decode()

    def test_does_nothing_for_rows_of_nobody(self, staff_with: Staff) -> None:
        page = act(staff_with(*ERASER), "erase_owners", make()).content.decode()
        assert "these generations have no owner" in page

    @pytest.mark.parametrize("codenames", [("view_generation", "delete_generation"), EXPORTER])
    def test_needs_its_permission(
        self, staff_with: Staff, ada: User, codenames: tuple[str, ...]
    ) -> None:
        row = make(owner=ada)
        confirmed = {"erase_confirmed": "yes", "erase_shown": ada.pk}
        act(staff_with(*codenames), "erase_owners", row, **confirmed)
        row.refresh_from_db()
        assert row.content_removed_at is None


class TestExport:
    def test_gives_a_zip_of_one_person(self, staff_with: Staff, ada: User) -> None:
        rows = [make(owner=ada) for _ in range(2)]
        response = act(staff_with(*EXPORTER), "export_owner", rows[0])
        assert "private, no-store" in response["Cache-Control"]
        archive = zipfile.ZipFile(io.BytesIO(b"".join(response.streaming_content)))
        response.close()
        assert len(json.loads(archive.read("data.json"))["generations"]) == 2

    def test_is_of_one_person_only(self, staff_with: Staff, ada: User) -> None:
        ben = User.objects.create_user("ben")
        page = act(staff_with(*EXPORTER), "export_owner", make(owner=ada), make(owner=ben))
        assert "Select generations of one owner only." in page.content.decode()

    @pytest.mark.parametrize("lacking", ["view_content", "export_generation"])
    def test_needs_both_permissions(self, staff_with: Staff, ada: User, lacking: str) -> None:
        client = staff_with(*(name for name in EXPORTER if name != lacking))
        response = act(client, "export_owner", make(owner=ada))
        assert response["Content-Type"].startswith("text/html")


class TestReads:
    @pytest.fixture(autouse=True)
    def _record(self, settings: Any) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "RECORD_READS": True}

    def test_are_recorded(self, staff_with: Staff, ada: User) -> None:
        row = make(owner=ada)
        staff_with("view_generation", "view_content").get(f"{HISTORY}{row.pk}/change/")
        assert row.events.last().detail.endswith("in the admin")

    def test_are_none_where_the_content_is_hidden(self, staff_with: Staff, ada: User) -> None:
        row = make(owner=ada)
        before = row.events.count()
        staff_with("view_generation").get(f"{HISTORY}{row.pk}/change/")
        assert row.events.count() == before


def test_page_says_that_the_content_was_removed(staff_with: Staff, ada: User) -> None:
    row = make(owner=ada)
    services.erase(ada)
    client = staff_with("view_generation", "view_content")
    page = client.get(f"{HISTORY}{row.pk}/change/").content.decode()
    assert "Its content was removed, or is not stored" in page


PERSON = f"{HISTORY}person/"


class TestPage:
    def test_asks_then_erases(self, staff_with: Staff, ada: User) -> None:
        client = staff_with(*ERASER)
        make(owner=ada, excerpt="Hello")
        assert PERSON in client.get("/admin/creatify_textgen/").content.decode()
        asked = {"person": ada.username, "action": "erase"}
        page = client.post(PERSON, asked).content.decode()
        assert "content of 1 generations and 0 files" in page
        assert Generation.objects.filter(content_removed_at=None).exists()
        confirmed = {"person": ada.username, "erase_confirmed": "yes"}
        done = client.post(PERSON, confirmed, follow=True).content.decode()
        assert "content of 1 generations and 0 files was erased" in done
        assert not Generation.objects.filter(content_removed_at=None).exists()

    def test_exports(self, staff_with: Staff, ada: User) -> None:
        make(owner=ada, excerpt="Hello")
        response = staff_with(*EXPORTER).post(PERSON, {"person": ada.username, "action": "export"})
        with zipfile.ZipFile(io.BytesIO(b"".join(response.streaming_content))) as archive:
            assert archive.namelist()

    @pytest.mark.parametrize("action", ["erase", "export"])
    def test_lets_nobody_do_the_other(self, staff_with: Staff, ada: User, action: str) -> None:
        client = staff_with(*(EXPORTER if action == "erase" else ERASER))
        asked = {"person": ada.username, "action": action, "erase_confirmed": "yes"}
        assert client.post(PERSON, asked).status_code == 403

    def test_finds_a_name_with_spaces_at_its_ends(self, staff_with: Staff) -> None:
        spaced, plain = User.objects.create(username=" ben "), User.objects.create(username="cy")
        for name, person in ((" ben ", spaced), ("cy ", plain)):
            make(owner=person)
            body = {"person": name, "action": "erase", "erase_confirmed": "yes"}
            staff_with(*ERASER).post(f"{HISTORY}person/", body)
            assert not Generation.objects.filter(owner=person, content_removed_at=None).exists()

    @pytest.mark.parametrize("name", ["", "nobody", "a\0b", "x" * 300])
    def test_says_that_there_is_no_such_user(self, staff_with: Staff, name: str) -> None:
        response = staff_with(*ERASER).post(PERSON, {"person": name})
        assert response.context["form"].errors["person"]


@pytest.mark.django_db(transaction=True)
class TestTransaction:
    """A host's ATOMIC_REQUESTS does not hold one open while a person's data is read or erased."""

    @pytest.fixture
    def were_atomic(self, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
        found: list[bool] = []

        def note(name: str) -> None:
            real = getattr(services, name)

            def call(*args: Any, **options: Any) -> Any:
                found.append(connection.in_atomic_block)
                return real(*args, **options)

            monkeypatch.setattr(services, name, call)

        note("erase")
        note("export")
        monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
        return found

    @pytest.mark.parametrize("fields", [{"action": "export"}, {"erase_confirmed": "yes"}], ids=str)
    def test_is_not_open_on_the_page(
        self, were_atomic: list[bool], staff_with: Staff, ada: User, fields: dict[str, str]
    ) -> None:
        make(owner=ada)
        response = staff_with(*ERASER, *EXPORTER).post(PERSON, {"person": ada.username, **fields})
        response.close()
        assert were_atomic == [False]

    @pytest.mark.parametrize("action", ["export_owner", "erase_owners"])
    def test_is_not_open_in_an_action(
        self, were_atomic: list[bool], staff_with: Staff, ada: User, action: str
    ) -> None:
        row = make(owner=ada)
        client = staff_with(*ERASER, *EXPORTER)
        response = act(client, action, row, erase_confirmed="yes", erase_shown=str(ada.pk))
        response.close()
        assert were_atomic == [False]
