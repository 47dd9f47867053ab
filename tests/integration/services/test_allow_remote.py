"""`ALLOW_REMOTE = False` in a site's tests: what would be sent fails with a clear reason."""

from __future__ import annotations

from typing import Any

import pytest

from creatify_textgen import services
from creatify_textgen.exceptions import RequestError
from tests.factories import make_generation

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _not_allowed(settings: Any) -> None:
    account = {"API_ID": "a", "API_KEY": "b", "BASE_URL": "https://api.creatify.ai"}
    settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": account}, "ALLOW_REMOTE": False}


class TestSend:
    def test_fails_with_what_to_do(self) -> None:
        generation = services.generate("Hello")
        assert (generation.status, generation.error_code) == ("failed", "remote_not_allowed")
        assert "creatify_stub" in generation.content.failed_reason
        assert generation.credits_used == 0


class TestRefresh:
    def test_is_refused_and_leaves_the_row(self) -> None:
        generation = make_generation(status="pending", remote_id="r-1")
        with pytest.raises(RequestError, match="ALLOW_REMOTE"):
            services.refresh(generation)
        generation.refresh_from_db()
        assert generation.status == "pending"


class TestCredits:
    def test_are_unknown(self) -> None:
        assert services.remaining_credits() == (None, None)
