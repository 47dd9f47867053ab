"""The webhook URL is the same in a web process below a prefix and in a worker."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.test import Client
from django.test.utils import override_script_prefix
from django.urls import include, path
from django.utils import translation

from creatify_textgen.dispatch.callbacks import make_token, webhook_path
from creatify_textgen.models import uuid7
from tests.factories import make_generation

LOCALE = "django.middleware.locale.LocaleMiddleware"
urlpatterns = i18n_patterns(path("textgen/", include("creatify_textgen.urls")))
"""A host whose paths begin with a language."""


class TestPrefix:
    def test_of_a_server_is_left_to_the_base_url(self) -> None:
        key = uuid7()
        with override_script_prefix("/shop/"):
            below = webhook_path(key, token="t")
        assert below == webhook_path(key, token="t")
        assert below.startswith("/textgen/webhooks/")

    def test_of_the_settings_is_part_of_the_path(self, settings: Any) -> None:
        settings.FORCE_SCRIPT_NAME = "/shop"
        assert webhook_path(uuid7(), token="t").startswith("/shop/textgen/webhooks/")


@pytest.mark.django_db
class TestLanguage:
    @pytest.mark.parametrize(("default", "prefix"), [("en-us", "en"), ("de", "de")])
    def test_of_the_site_is_in_the_path_whoever_asks(
        self, settings: Any, default: str, prefix: str
    ) -> None:
        settings.ROOT_URLCONF, settings.LANGUAGE_CODE = __name__, default
        for language in ("fr", None):
            with translation.override(language):
                found = webhook_path(uuid7(), token="t")
            assert found.startswith(f"/{prefix}/textgen/webhooks/")

    def test_that_the_site_does_not_list_is_left_to_the_site(self, settings: Any) -> None:
        settings.ROOT_URLCONF, settings.LANGUAGES = __name__, [("fr", "French")]
        assert webhook_path(uuid7(), token="t").startswith("/en-us/")

    def test_is_one_that_the_site_answers(self, settings: Any) -> None:
        settings.ROOT_URLCONF = __name__
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, LOCALE]
        key = make_generation().pk
        found = webhook_path(key, token=make_token(key))
        delivery = {"id": str(uuid7()), "status": "done"}
        assert Client().post(found, delivery, "application/json").status_code == 204
