"""Who read the content of others is in the timeline, whichever answer had it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from creatify_textgen.models import Generation
from tests.factories import NOW, make_generation

from .conftest import URL

READER = ("view_generation", "view_content", "operate_generation")


@pytest.fixture(autouse=True)
def _record(settings: Any) -> None:
    settings.CREATIFY_TEXTGEN = {"RECORD_READS": True}


def reads_of(generation: Generation) -> list[str]:
    return list(generation.events.filter(cause="retention").values_list("detail", flat=True))


class TestReads:
    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("get", "", "done"),
            ("post", "cancel/", "queued"),
            ("post", "refresh/", "done"),
            ("get", "stream/", "done"),
        ],
    )
    def test_are_recorded(
        self,
        owner: User,
        staff_with: Callable[..., APIClient],
        method: str,
        path: str,
        status: str,
    ) -> None:
        ends = {"finished_at": NOW} if status == "done" else {}
        row = make_generation(owner=owner, status=status, **ends)
        response = getattr(staff_with(*READER), method)(f"{URL}{row.pk}/{path}")
        assert response.status_code == 200
        assert response.getvalue()
        assert len(reads_of(row)) == 1

    def test_of_a_retry_are_recorded_on_the_new_row(
        self, owner: User, staff_with: Callable[..., APIClient]
    ) -> None:
        row = make_generation(owner=owner, status="failed", finished_at=NOW)
        answer = staff_with(*READER).post(f"{URL}{row.pk}/retry/").json()
        assert answer["messages"]
        assert len(reads_of(Generation.objects.get(pk=answer["id"]))) == 1

    def test_without_content_are_not_recorded(
        self, owner: User, staff_with: Callable[..., APIClient]
    ) -> None:
        row = make_generation(owner=owner)
        client = staff_with("view_generation", "operate_generation")
        assert client.post(f"{URL}{row.pk}/cancel/").json()["messages"] is None
        assert reads_of(row) == []

    def test_of_owners_are_not_recorded(self, owner: User, api: APIClient) -> None:
        row = make_generation(owner=owner)
        api.post(f"{URL}{row.pk}/cancel/")
        assert reads_of(row) == []
