"""`ALLOW_REMOTE = False`: only this machine is called."""

from __future__ import annotations

from typing import Any

import pytest

from creatify_textgen import gateway
from creatify_textgen.exceptions import RequestError

KEYS = {"API_ID": "a", "API_KEY": "b"}


def point_to(settings: Any, base_url: str, *, allow: bool) -> None:
    account = {**KEYS, "BASE_URL": base_url}
    settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": account}, "ALLOW_REMOTE": allow}


class TestAllowRemote:
    @pytest.mark.parametrize(
        "base_url",
        ["https://api.creatify.ai", "http://10.0.0.1", "http://localhost.example.com", ""],
    )
    def test_refuses_other_machines(self, base_url: str, settings: Any) -> None:
        point_to(settings, base_url, allow=False)
        with pytest.raises(RequestError, match="creatify_stub") as caught:
            gateway.client_for("default")
        assert caught.value.code == "remote_not_allowed"

    @pytest.mark.parametrize(
        "base_url", ["http://127.0.0.1:8001", "http://localhost:1", "http://[::1]:1"]
    )
    def test_lets_this_machine_be_called(self, base_url: str, settings: Any) -> None:
        point_to(settings, base_url, allow=False)
        assert gateway.client_for("default")

    def test_is_on_for_sites(self, settings: Any) -> None:
        point_to(settings, "https://api.creatify.ai", allow=True)
        assert gateway.client_for("default")
