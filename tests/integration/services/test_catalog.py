"""Which models answered for others."""

from __future__ import annotations

from datetime import timedelta

import pytest

from creatify_textgen import services
from tests.factories import NOW, make_generation


@pytest.mark.django_db
class TestReroutedModels:
    @pytest.mark.parametrize(
        "version",
        ["", "gemini-3.5-flash", "gemini-3.5-flash-001", "gemini-3.5-flash-preview-05-20"],
    )
    def test_leave_out_versions_of_the_same_model(self, version: str) -> None:
        make_generation(model_name="gemini-3.5-flash", model_version=version)
        assert services.rerouted_models() == {}

    def test_have_a_model_whose_name_begins_with_that_of_another(self) -> None:
        make_generation(model_name="gemini-3.5-flash", model_version="gemini-3.5-flash-lite")
        assert services.rerouted_models() == {"gemini-3.5-flash": "gemini-3.5-flash-lite"}

    def test_have_the_latest_of_several_that_answered(self) -> None:
        for hours, version in enumerate(["gemini-3.8-flash", "gemini-3.7-flash"]):
            created_at = NOW - timedelta(hours=hours)
            make_generation(model_name="a", model_version=version, created_at=created_at)
        assert services.rerouted_models() == {"a": "gemini-3.8-flash"}
