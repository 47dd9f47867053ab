"""Which workspaces a caller of the REST API may name."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from creatify_textgen.models import Generation

from .conftest import URL, make_generation

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def two_accounts(settings: Any) -> None:
    account = {"API_ID": "id", "API_KEY": "key", "BASE_URL": "http://127.0.0.1:9"}
    accounts = dict.fromkeys(("default", "research", "secret"), account)
    settings.CREATIFY_TEXTGEN = {
        "ACCOUNTS": accounts,
        "REST_ACCOUNTS": ["default", "research"],
    }


def test_a_listed_one_is_used(api: APIClient) -> None:
    response = api.post(URL, {"messages": "Hello", "account": "research"}, format="json")
    assert (response.status_code, response.json()["account"]) == (202, "research")


@pytest.mark.parametrize("path", [URL, f"{URL}stream/"])
@pytest.mark.parametrize("account", ["secret", "nowhere", "", 3, ["default"], None])
def test_others_are_refused(api: APIClient, path: str, account: Any) -> None:
    response = api.post(path, {"messages": "Hello", "account": account}, format="json")
    assert response.status_code == 400
    assert list(response.json()["errors"]) == ["account"]
    assert not Generation.objects.exists()


def test_the_history_can_be_narrowed_to_one(api: APIClient, owner: User) -> None:
    make_generation(owner, account="default")
    row = make_generation(owner, account="research")
    found = api.get(URL, {"account": "research"}).json()["results"]
    assert [one["id"] for one in found] == [str(row.pk)]
