"""From settings to a workspace: the same keys, the same place."""

from __future__ import annotations

from typing import Any

import pytest

from creatify_textgen.gateway import workspace_of

ACCOUNT = {"API_ID": "id", "API_KEY": "key", "BASE_URL": "https://one.example"}


def workspace(settings: Any, **account: str) -> str:
    settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": {**ACCOUNT, **account}}}
    return workspace_of("default")


class TestWorkspace:
    def test_is_told_by_id_and_place(self, settings: Any) -> None:
        first = workspace(settings)
        assert first == workspace(settings, API_KEY="renewed")
        others = {"API_ID": "another"}, {"BASE_URL": "https://two.example"}
        assert len({first, *(workspace(settings, **other) for other in others)}) == 3

    def test_tells_nobody_the_id(self, settings: Any) -> None:
        first = workspace(settings, API_ID="a-rather-long-id")
        assert "a-rather-long-id" not in first
        settings.SECRET_KEY = "another"
        assert workspace(settings, API_ID="a-rather-long-id") != first

    @pytest.mark.parametrize("account", [{}, {"default": {"API_ID": "id"}}])
    def test_of_no_account_is_unknown(self, settings: Any, account: Any) -> None:
        settings.CREATIFY_TEXTGEN = {"ACCOUNTS": account}
        assert workspace_of("default") == ""
