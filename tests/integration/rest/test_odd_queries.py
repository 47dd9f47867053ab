"""Every parameter of every REST path with values that no column can hold: refused, never a 500."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from creatify_textgen import clock
from creatify_textgen.chat import Conversation
from creatify_textgen.rest.filters import CreditsForm, GenerationFilters, ModelForm
from tests import factories
from tests.faults.corpus import share_of

pytestmark = [pytest.mark.django_db, pytest.mark.abuse]


def cursor(**tokens: str) -> str:
    return b64encode(urlencode(tokens).encode()).decode()


NUMBERS = ("1e999999", str(2**63), str(-(2**63) - 1), "9" * 30, "9" * 5000)
WORDS = ("nan", "\u00b2", "\u0661", "\x00", "\ud800", "x" * 9000)
TIMES = (
    "0001-01-01",
    "9999-12-31",
    "9999-12-31T23:59:59.999999-23:59",
    "0001-01-01T00:00:00+23:59",
    "2020-W53-7",
    "99999-01-01",
    "2020-02-30",
)
ODD = (*NUMBERS, *WORDS, *TIMES)
CURSORS = (
    *ODD,
    *(cursor(p=odd) for odd in ODD if odd != "\ud800"),
    *(cursor(o=odd, p="1") for odd in ODD if odd != "\ud800"),
    *(cursor(o=odd, r="1") for odd in ODD if odd != "\ud800"),
)
PAGES = ("cursor", "page_size", "ordering")
METADATA = ("metadata__", "metadata__order", "metadata__" + "9" * 30, "metadata__\ud800")
GENERATIONS = (*GenerationFilters.base_filters, *METADATA, *PAGES)


@pytest.fixture
def client() -> APIClient:
    """Return the client of who sees everything, so that nothing is refused before it is read."""
    user = User.objects.create_superuser("root")
    factories.make_generation(owner=user, created_at=clock.now(), metadata={"order": 17})
    found = APIClient(raise_request_exception=False)
    found.force_login(user)
    return found


def wrong(client: APIClient, path: str, names: Any) -> list[Any]:
    """Return what is answered otherwise than with rows, or with a refusal that names its field."""
    found = []
    values = {"cursor": CURSORS}
    for name, odd in share_of(((n, odd) for n in names for odd in values.get(n, ODD)), path):
        query = f"{encoded(name)}={encoded(odd)}"
        response = client.get(f"{path}?{query}")
        if response.status_code not in (200, 400, 404):
            found.append((query[:60], response.status_code))
    return found


def encoded(text: str) -> str:
    # A lone surrogate as three bytes, which are no UTF-8.
    return quote(text.encode("utf-8", "surrogatepass"))


class TestParameters:
    def test_of_the_history_are_never_an_error_of_ours(self, client: APIClient) -> None:
        assert wrong(client, "/textgen/generations/", GENERATIONS) == []

    def test_of_credits_are_never_an_error_of_ours(self, client: APIClient) -> None:
        assert wrong(client, "/textgen/credits/", CreditsForm.base_fields) == []

    def test_of_the_estimate_are_never_an_error_of_ours(self, client: APIClient) -> None:
        assert wrong(client, "/textgen/estimate/", ModelForm.base_fields) == []

    @pytest.mark.parametrize("path", ["conversations/", "runs/", "models/"])
    def test_of_other_lists_are_never_an_error_of_ours(self, client: APIClient, path: str) -> None:
        assert wrong(client, f"/textgen/{path}", PAGES) == []

    def test_of_messages_are_never_an_error_of_ours(self, client: APIClient) -> None:
        conversation = Conversation.start(owner=User.objects.get())
        path = f"/textgen/conversations/{conversation.pk}/messages/"
        assert wrong(client, path, PAGES) == []
