"""What a user uploads in a day, whatever becomes of it afterwards."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import Storage
from django.db import transaction
from django.utils import timezone

from creatify_textgen import services
from creatify_textgen.checks.rules import MOST
from creatify_textgen.exceptions import PolicyRefusal, RequestError, TextgenError
from creatify_textgen.intake.media import delete_discarded
from creatify_textgen.models import Allowance, Media
from tests.bad_requests import PNG

pytestmark = pytest.mark.django_db(transaction=True)

OTHER, THIRD = PNG + b"2", PNG + b"3"
UNKNOWN = [PNG + b"no other test", PNG + b"stores these"]


@pytest.fixture
def user() -> User:
    return User.objects.create_user("owner")


def limit(settings: Any, **limits: Any) -> None:
    settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "LIMITS": limits}


def message_with(*files: bytes) -> list[dict[str, Any]]:
    parts = [{"type": "image", "data": file, "mime_type": "image/png"} for file in files]
    return [{"role": "user", "content": parts}]


def uploaded(user: User) -> tuple[int, int]:
    counts = Allowance.objects.filter(owner=user).values_list("uploads", "upload_bytes")
    return counts.first() or (0, 0)


class TestUploadLimits:
    @pytest.mark.parametrize(
        ("name", "most"), [("uploads_per_day", 1), ("upload_bytes_per_day", len(OTHER))]
    )
    def test_count_what_was_given_up(self, settings: Any, user: User, name: str, most: int) -> None:
        limit(settings, **{name: most})
        services.delete(services.cancel(services.submit(message_with(PNG), owner=user)))
        delete_discarded(limit=10)
        assert not Media.objects.exists()
        with pytest.raises(PolicyRefusal, match="and have uploaded"):
            services.store_media(OTHER, owner=user)

    def test_may_be_the_largest_number_that_the_checks_allow(
        self, settings: Any, user: User
    ) -> None:
        limit(settings, uploads_per_day=MOST, upload_bytes_per_day=MOST)
        services.store_media(PNG, owner=user)
        assert uploaded(user) == (1, len(PNG))

    def test_begin_again_at_midnight(self, settings: Any, user: User) -> None:
        limit(settings, uploads_per_day=1)
        services.store_media(PNG, owner=user)
        [today] = Allowance.objects.values_list("uploads_on", flat=True)
        Allowance.objects.update(uploads_on=today - timedelta(days=1))
        services.store_media(OTHER, owner=user)
        with pytest.raises(PolicyRefusal):
            services.store_media(THIRD, owner=user)
        assert Allowance.objects.get().uploads_on == today

    def test_count_the_same_content_once(self, user: User) -> None:
        for _ in range(2):
            services.store_media(PNG, owner=user)
            services.submit(message_with(PNG, PNG), owner=user)
        Media.objects.update(discarded_at=timezone.now())
        services.store_media(PNG, owner=user)
        assert uploaded(user) == (1, len(PNG))

    def test_count_the_new_files_of_a_request(self, user: User) -> None:
        services.store_media(PNG, owner=user)
        services.submit(message_with(PNG, OTHER, THIRD, OTHER), owner=user)
        assert uploaded(user) == (3, len(PNG + OTHER + THIRD))

    def test_do_not_count_what_was_refused(self, settings: Any, user: User) -> None:
        limit(settings, uploads_per_day=1)
        with pytest.raises(PolicyRefusal):
            services.submit(message_with(PNG, OTHER), owner=user)
        assert uploaded(user) == (0, 0)
        services.store_media(PNG, owner=user)
        with pytest.raises(PolicyRefusal):
            services.store_media(OTHER, owner=user)
        assert uploaded(user) == (1, len(PNG))

    def test_count_what_was_stored_before_the_storage_failed(
        self, user: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        saves: list[str] = []
        save = Storage.save

        def fail_later(*arguments: Any, **options: Any) -> str:
            saves.append("")
            if len(saves) > 1:
                raise OSError
            return save(*arguments, **options)

        monkeypatch.setattr(Storage, "save", fail_later)
        with pytest.raises(TextgenError, match="storage failed"):
            services.submit(message_with(*UNKNOWN), owner=user)
        assert uploaded(user) == (1, len(UNKNOWN[0]))

    def test_count_after_a_transaction_of_the_host(self, settings: Any, user: User) -> None:
        limit(settings, uploads_per_day=1)
        with transaction.atomic():
            services.store_media(PNG, owner=user)
            assert uploaded(user) == (0, 0)
        assert uploaded(user) == (1, len(PNG))
        with transaction.atomic(), pytest.raises(PolicyRefusal):
            services.store_media(OTHER, owner=user)

    def test_count_nothing_that_a_transaction_took_back(self, user: User) -> None:
        with transaction.atomic():
            services.store_media(PNG, owner=user)
            transaction.set_rollback(True)
        assert uploaded(user) == (0, 0)

    def test_of_a_user_who_is_deleted_meanwhile_are_refused(self, user: User) -> None:
        User.objects.filter(pk=user.pk).delete()
        with pytest.raises(RequestError, match="deleted just now"):
            services.store_media(PNG, owner=user)
        assert not Media.objects.exists()

    def test_do_not_outlive_their_user(self, user: User) -> None:
        services.store_media(PNG, owner=user)
        services.erase(user)
        user.delete()
        assert not Allowance.objects.exists()
