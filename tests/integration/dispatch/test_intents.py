"""Intents as they are saved, and the keys that keep them from being saved twice."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError

from creatify_textgen.dispatch import intents
from creatify_textgen.dispatch.intents import (
    IDEMPOTENCY_LIFETIME,
    save_intent,
    save_intents,
)
from creatify_textgen.exceptions import RequestError
from creatify_textgen.intake import Intake, accept
from creatify_textgen.models import Generation, Media
from creatify_textgen.states import Mode
from tests.bad_requests import PNG
from tests.factories import NOW

pytestmark = pytest.mark.django_db

SOON = NOW + timedelta(seconds=15)
TOOLS = [{"function_declarations": [{"name": "get_weather"}]}]
TOOL_CONFIG = {"function_calling_config": {"mode": "ANY"}}


def whole(**fields: Any) -> Intake:
    image = {"type": "image", "data": PNG, "mime_type": "image/png"}
    messages = [{"role": "user", "content": [image, {"type": "text", "text": "What is this?"}]}]
    request = {
        "model_name": "gemini-2.5-pro",
        "system_instruction": "Be brief.",
        "config": {"temperature": 0.5},
        "tools": TOOLS,
        "tool_config": TOOL_CONFIG,
        "metadata": {"order": 7},
    }
    return accept(messages, **{**request, **fields})


def save(intake: Intake, **options: Any) -> tuple[Generation, bool]:
    defaults = {"mode": Mode.ASYNC, "now": NOW, "due_at": SOON}
    return save_intent(intake, **{**defaults, **options})


def assert_whole(row: Generation, intake: Intake) -> None:
    names = ("model_name", "account", "excerpt", "fingerprint", "metadata", "owner_id")
    assert [getattr(row, n) for n in names] == [getattr(intake, n) for n in names]
    assert (row.created_at, row.updated_at, row.due_at) == (NOW, NOW, SOON)
    content = row.content
    names = ("messages", "system_instruction", "config", "tools", "tool_config")
    assert [getattr(content, n) for n in names] == [getattr(intake, n) for n in names]
    assert [media.pk for media in row.media.all()] == [media.pk for media in intake.media]


class TestIntent:
    @pytest.fixture
    def two_accounts(self, settings: Any) -> None:
        account = settings.CREATIFY_TEXTGEN["ACCOUNTS"]["default"]
        settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": account, "other": account}}

    @pytest.mark.usefixtures("two_accounts")
    def test_keeps_all_that_was_accepted(self) -> None:
        intake = whole(owner=User.objects.create_user("ada"), account="other")
        assert intake.media
        _, is_new = save(intake)
        row = Generation.objects.get()
        assert is_new
        assert (row.mode, row.status) == ("async", "queued")
        assert (row.idempotency_key, row.idempotency_hash) == (None, "")
        assert_whole(row, intake)

    @pytest.mark.usefixtures("two_accounts")
    def test_is_kept_the_same_among_many(self) -> None:
        owner = User.objects.create_user("ada")
        intakes = [whole(owner=owner, account="other"), whole(model_name="gemini-2.5-flash")]
        rows = save_intents(intakes, now=NOW, due_at=SOON)
        for row, intake in zip(rows, intakes, strict=True):
            saved = Generation.objects.get(pk=row.pk)
            assert saved.mode == "async"
            assert_whole(saved, intake)

    def test_has_each_medium_once(self) -> None:
        image = {"type": "image", "data": PNG, "mime_type": "image/png"}
        intake = accept([{"role": "user", "content": [image, image]}])
        [row] = save_intents([intake], now=NOW, due_at=SOON)
        assert list(row.media.all()) == list(Media.objects.all())

    def test_of_a_retry_names_the_first(self) -> None:
        first, _ = save(accept("Hi"))
        second, _ = save(accept("Hi"), retry_of=first)
        second.refresh_from_db()
        assert second.retry_of == first

    def test_costs_two_rows_and_asks_for_pauses_and_budgets(
        self, django_assert_num_queries: Any
    ) -> None:
        intake = accept("Hi")
        with django_assert_num_queries(1 + 2 + 2):  # pauses and budgets; a savepoint
            save(intake)

    def test_takes_nobody_else_s_place(self) -> None:
        row, _ = save(accept("Hi"))
        with pytest.raises(IntegrityError):
            intents._insert(row, row.content, accept("Hi"), link=None)


class TestKey:
    def test_gives_the_same_row_for_the_same_request(self) -> None:
        first, is_new = save(whole(), idempotency_key="k1")
        again, is_again_new = save(whole(), idempotency_key="k1")
        assert (is_new, is_again_new) == (True, False)
        assert again.pk == first.pk
        assert Generation.objects.count() == 1

    def test_gives_its_content_along(self, django_assert_num_queries: Any) -> None:
        save(accept("Hi"), idempotency_key="k1")
        again, _ = save(accept("Hi"), idempotency_key="k1")
        with django_assert_num_queries(0):
            assert again.content.messages

    @pytest.mark.parametrize("other", ["another mode", "another request"])
    def test_refuses_what_it_does_not_stand_for(self, other: str) -> None:
        save(accept("Hi"), idempotency_key="k1")
        intake = accept("Hi" if other == "another mode" else "Bye")
        mode = Mode.STREAM if other == "another mode" else Mode.ASYNC
        with pytest.raises(
            RequestError, match=r"^This Idempotency-Key was used for another request: use a new"
        ) as caught:
            save(intake, mode=mode, idempotency_key="k1")
        assert caught.value.code == "idempotency_conflict"

    def test_stands_for_its_request_after_the_secret_key_was_rotated(self, settings: Any) -> None:
        first, _ = save(accept("Hi"), idempotency_key="k1")
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another-key-of-some-length"
        assert save(accept("Hi"), idempotency_key="k1") == (first, False)

    def test_is_refused_and_pays_nothing_after_the_secret_key_was_lost(self, settings: Any) -> None:
        save(accept("Hi"), idempotency_key="k1")
        settings.SECRET_KEY = "another-key-of-some-length"
        with pytest.raises(RequestError) as caught:
            save(accept("Hi"), idempotency_key="k1")
        assert caught.value.code == "idempotency_conflict"

    @pytest.mark.parametrize(("age", "is_new"), [(IDEMPOTENCY_LIFETIME, False), (None, True)])
    def test_lasts_a_day(self, age: timedelta | None, *, is_new: bool) -> None:
        save(accept("Hi"), idempotency_key="k1")
        later = NOW + (age or IDEMPOTENCY_LIFETIME + timedelta(seconds=1))
        assert save(accept("Hi"), idempotency_key="k1", now=later)[1] is is_new
        assert Generation.objects.exclude(idempotency_key=None).count() == 1

    @pytest.mark.parametrize(("hour", "is_new"), [(12, False), (13, True)])
    def test_lasts_a_day_when_clocks_change_in_spring(
        self, settings: Any, hour: int, *, is_new: bool
    ) -> None:
        settings.USE_TZ, settings.TIME_ZONE = False, "Europe/Berlin"
        sent_at, later = (
            datetime.fromisoformat("2026-03-28 12:00"),
            datetime.fromisoformat(f"2026-03-29 {hour}:30"),
        )
        save(accept("Hi"), idempotency_key="k1", now=sent_at, due_at=sent_at)
        _row, is_another = save(accept("Hi"), idempotency_key="k1", now=later, due_at=later)
        assert is_another is is_new

    def test_gives_the_row_of_a_racer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        first, _ = save(accept("Hi"), idempotency_key="k1")
        find, seen = intents._find, []

        def look_too_early(wanted: Generation, **options: Any) -> Generation | None:
            seen.append(wanted)
            return None if len(seen) == 1 else find(wanted, **options)

        monkeypatch.setattr(intents, "_find", look_too_early)
        again, is_new = save(accept("Hi"), idempotency_key="k1")
        assert (again.pk, is_new) == (first.pk, False)

    def test_hides_no_other_trouble(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: Any, **options: Any) -> None:
            raise IntegrityError("another constraint")

        monkeypatch.setattr(intents, "_insert", fail)
        with pytest.raises(IntegrityError, match="another constraint"):
            save(accept("Hi"), idempotency_key="k1")

    @pytest.mark.parametrize("key", ["k", "ключ", "x" * 255], ids=["short", "Russian", "long"])
    def test_may_be_any_printable_text(self, key: str) -> None:
        assert save(accept("Hi"), idempotency_key=key)[1]

    @pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "a\x00b", 7, b"k"], ids=repr)
    def test_is_refused_where_it_is_none(self, key: Any) -> None:
        with pytest.raises(RequestError) as caught:
            save(accept("Hi"), idempotency_key=key)
        rule = "must be 1 to 255 printable characters"
        assert caught.value.errors == {"Idempotency-Key": [rule]}
        assert str(caught.value) == f"Idempotency-Key {rule}."
        assert not Generation.objects.exists()

    def test_is_stored_as_a_hash_alone(self) -> None:
        save(accept("Hi"), idempotency_key="a secret of the caller's")
        assert "secret" not in repr(Generation.objects.values().get())


class TestRepeated:
    def find(self, intake: Intake, **options: Any) -> Generation | None:
        found, is_new = save(intake, **{"idempotency_key": "k1", **options})
        return None if is_new else found

    def test_is_the_row_that_the_key_stands_for(self) -> None:
        ada = User.objects.create_user("ada")
        first, _ = save(accept("Hi", owner=ada), idempotency_key="k1")
        assert self.find(accept("Hi", owner=ada)) == first

    def test_is_nobody_else_s_and_no_other_key_s(self) -> None:
        ada, bob = (User.objects.create_user(name) for name in ("ada", "bob"))
        save(accept("Hi", owner=ada), idempotency_key="k1")
        assert self.find(accept("Hi", owner=bob)) is None
        assert self.find(accept("Hi", owner=ada), idempotency_key="k2") is None

    def test_is_none_after_a_day(self) -> None:
        save(accept("Hi"), idempotency_key="k1")
        assert self.find(accept("Hi"), now=NOW + timedelta(hours=25)) is None

    @pytest.mark.parametrize("options", [{"mode": Mode.SYNC}, {}], ids=["mode", "request"])
    def test_refuses_what_differs(self, options: Any) -> None:
        save(accept("Hi"), idempotency_key="k1")
        intake = accept("Hi" if options else "Bye")
        with pytest.raises(RequestError):
            self.find(intake, **options)
