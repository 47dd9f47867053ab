"""The webhook URL is the same in a web process below a prefix and in a worker."""

from __future__ import annotations

from typing import Any

from django.test.utils import override_script_prefix

from creatify_textgen.dispatch.callbacks import webhook_path
from creatify_textgen.models import uuid7


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
