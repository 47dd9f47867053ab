"""Users of a site and their rows, for every test of the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from rest_framework.test import APIClient

from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Generation
from tests import factories

URL = "/textgen/generations/"


@pytest.fixture
def owner(db: None) -> User:
    return User.objects.create_user("owner")


@pytest.fixture
def stranger(db: None) -> User:
    return User.objects.create_user("stranger")


@pytest.fixture
def staff_with(db: None) -> Callable[..., APIClient]:
    """Return a client of a staff member who has only these permissions of the app."""

    def make(*codenames: str) -> APIClient:
        user = User.objects.create_user(f"staff-{'-'.join(codenames)}", is_staff=True)
        user.user_permissions.set(
            Permission.objects.filter(
                content_type__app_label="creatify_textgen", codename__in=codenames
            )
        )
        return client_of(user)

    return make


@pytest.fixture
def api(owner: User) -> APIClient:
    """Return the owner's client."""
    return client_of(owner)


@pytest.fixture
def strangers_api(stranger: User) -> APIClient:
    return client_of(stranger)


@pytest.fixture
def remote(creatify_emulator: Emulator, settings: Any) -> Emulator:
    """Return the emulator, which the site's account now leads to."""
    account = {"API_ID": "id", "API_KEY": "key", "BASE_URL": creatify_emulator.url}
    settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": account}}
    return creatify_emulator


def client_of(user: User) -> APIClient:
    client = APIClient()
    client.force_login(user)
    return client


def make_generation(
    owner: User | None, *, prompt: str = "Hello", content: dict[str, Any] | None = None, **row: Any
) -> Generation:
    """Save a generation, finished by default."""
    answered = {"response_text": "Good day.", **(content or {})}
    row = {"status": "done", "owner": owner, "excerpt": prompt, **row}
    return factories.make_generation(content=answered, **row)
