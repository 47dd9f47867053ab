"""What a caller of the API is refused, and what of the site's own settings holds."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from rest_framework.settings import api_settings
from rest_framework.test import APIClient
from rest_framework.throttling import ScopedRateThrottle

from creatify_textgen import gateway
from creatify_textgen.exceptions import PolicyRefusal
from creatify_textgen.models import Generation
from tests.bad_requests import PNG

from .conftest import URL, make_generation

MEDIA = "/textgen/media/"
CREDITS = "/textgen/credits/"
BODY = {"messages": "Hello"}
ADD = "creatify_textgen.add_generation"

Call = Callable[[APIClient, Generation], Any]
SPENDING: list[Any] = [
    pytest.param(lambda api, row: api.post(URL, BODY, format="json"), id="create"),
    pytest.param(
        lambda api, row: api.post(URL, {**BODY, "sync": True}, format="json"), id="create sync"
    ),
    pytest.param(lambda api, row: api.post(f"{URL}stream/", BODY, format="json"), id="stream"),
    pytest.param(lambda api, row: api.post(f"{URL}{row.pk}/retry/"), id="retry"),
]
FREE: list[Any] = [
    pytest.param(lambda api, row: api.get(URL), id="list"),
    pytest.param(lambda api, row: api.get(f"{URL}{row.pk}/"), id="one"),
    pytest.param(lambda api, row: api.post(f"{URL}{row.pk}/refresh/"), id="refresh"),
    pytest.param(lambda api, row: api.get(CREDITS), id="credits"),
    pytest.param(lambda api, row: api.get("/textgen/models/"), id="models"),
]


@pytest.fixture
def row(owner: User) -> Generation:
    return make_generation(owner)


def configure(settings: Any, **keys: Any) -> None:
    settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, **keys}


def refuse(user: Any, request: Any, *, door: str) -> None:
    raise PolicyRefusal(f"No {door}.", code="no_access", status=418)


class TestPolicy:
    @pytest.mark.parametrize("call", SPENDING)
    def test_refuses_with_its_own_words(
        self, settings: Any, api: APIClient, row: Generation, call: Call
    ) -> None:
        configure(settings, POLICY=refuse)
        response = call(api, row)
        assert (response.status_code, response.json()["code"]) == (418, "no_access")
        assert response.json()["error"].startswith("No ")
        assert Generation.objects.count() == 1

    def test_holds_for_uploads_and_refreshes(
        self, settings: Any, api: APIClient, owner: User
    ) -> None:
        configure(settings, POLICY=refuse)
        row = make_generation(owner, status="pending")
        assert upload(api).json()["error"] == "No upload."
        assert api.post(f"{URL}{row.pk}/refresh/").json()["error"] == "No refresh."


class TestLimit:
    def test_says_what_was_reached(self, settings: Any, api: APIClient, owner: User) -> None:
        configure(settings, LIMITS={"in_flight": 1})
        make_generation(owner, status="pending")
        response = api.post(URL, BODY, format="json")
        assert response.status_code == 429
        assert response.json() == {
            "error": "You may have 1 unfinished generations, and have 1.",
            "code": "too_many_in_flight",
            "errors": {"": ["You may have 1 unfinished generations, and have 1."]},
        }

    def test_says_when_to_come_back(self, settings: Any, api: APIClient) -> None:
        configure(settings, LIMITS={"uploads_per_day": 0})
        response = upload(api)
        assert response.status_code == 429
        assert 0 < int(response["Retry-After"]) <= 86400


class TestCreatePermission:
    @pytest.mark.parametrize("call", SPENDING)
    def test_is_needed_to_spend(
        self, settings: Any, api: APIClient, owner: User, row: Generation, call: Call
    ) -> None:
        configure(settings, CREATE_PERMISSION=ADD, POLICY=refuse)
        assert call(api, row).status_code == 403
        owner.user_permissions.add(Permission.objects.get(codename="add_generation"))
        assert call(api, row).status_code == 418

    @pytest.mark.parametrize("call", FREE)
    def test_is_not_needed_to_read(
        self, settings: Any, api: APIClient, row: Generation, call: Call
    ) -> None:
        configure(settings, CREATE_PERMISSION=ADD)
        assert call(api, row).status_code == 200


class TestPermissionsOfTheSite:
    @pytest.mark.parametrize("call", [*SPENDING, *FREE])
    @pytest.mark.parametrize("name", ["IsAdminUser", "DjangoModelPermissions"])
    def test_hold_in_addition(
        self, settings: Any, api: APIClient, row: Generation, call: Call, name: str
    ) -> None:
        classes = [f"rest_framework.permissions.{name}"]
        settings.REST_FRAMEWORK = {"DEFAULT_PERMISSION_CLASSES": classes}
        configure(settings, POLICY=refuse)
        reads = call in [parameter.values[0] for parameter in FREE if parameter.id != "refresh"]
        # DjangoModelPermissions lets every user read.
        expected = 200 if reads and name == "DjangoModelPermissions" else 403
        assert call(api, row).status_code == expected

    def test_do_not_replace_ours(self, settings: Any, db: None) -> None:
        classes = ["rest_framework.permissions.AllowAny"]
        settings.REST_FRAMEWORK = {"DEFAULT_PERMISSION_CLASSES": classes}
        assert APIClient().get(URL).status_code in (401, 403)


class TestThrottleScope:
    @pytest.mark.parametrize(
        ("scope", "call"),
        [
            *(("textgen_create", parameter.values[0]) for parameter in SPENDING),
            ("textgen_refresh", FREE[2].values[0]),
            ("textgen_upload", lambda api, row: upload(api)),
            ("textgen_read", FREE[0].values[0]),
            ("textgen_read", FREE[3].values[0]),
        ],
    )
    def test_is_of_the_kind_of_call(
        self,
        settings: Any,
        monkeypatch: pytest.MonkeyPatch,
        api: APIClient,
        row: Generation,
        scope: str,
        call: Call,
    ) -> None:
        cache.clear()
        rates = {scope: "0/day"}
        settings.REST_FRAMEWORK = {
            "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.ScopedRateThrottle"],
            "DEFAULT_THROTTLE_RATES": rates,
        }
        # DRF reads both when its classes are made.
        monkeypatch.setattr(ScopedRateThrottle, "THROTTLE_RATES", rates)
        monkeypatch.setattr(
            "creatify_textgen.http.policy.Endpoint.throttle_classes", [ScopedRateThrottle]
        )
        assert rates == api_settings.DEFAULT_THROTTLE_RATES
        assert call(api, row).status_code == 429

    def test_without_a_rate_is_none(
        self, monkeypatch: pytest.MonkeyPatch, api: APIClient, row: Generation
    ) -> None:
        monkeypatch.setattr(
            "creatify_textgen.http.policy.Endpoint.throttle_classes", [ScopedRateThrottle]
        )
        assert api.get(URL).status_code == 200


class TestBalance:
    def test_is_for_those_who_may_see_it(
        self, api: APIClient, owner: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[str] = []

        def client_for(account: str) -> Any:
            asked.append(account)
            return SimpleNamespace(remaining_credits=lambda **_: Decimal(379))

        cache.clear()
        monkeypatch.setattr(gateway, "client_for", client_for)
        assert api.get(CREDITS).json()["remaining"] is None
        assert asked == []
        owner.user_permissions.add(Permission.objects.get(codename="view_credits"))
        assert api.get(CREDITS).json()["remaining"] == "379"
        assert asked == ["default"]


def upload(api: APIClient) -> Any:
    file = BytesIO(PNG)
    file.name = "a.png"
    return api.post(MEDIA, {"file": file}, format="multipart")
