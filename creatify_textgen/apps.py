"""The app's configuration: its name, its system checks and its Celery tasks."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig
from django.core.checks import register
from django.utils.translation import gettext_lazy as _

from creatify_textgen.logs import hide_tokens

__all__ = ["CreatifyTextgenConfig"]


class CreatifyTextgenConfig(AppConfig):
    name = "creatify_textgen"
    verbose_name = _("Text generation")
    default_auto_field = "django.db.models.BigAutoField"

    def import_models(self) -> None:
        """Load the tables of `chat`, which are not below it, after those of `models`."""
        super().import_models()
        import_module("creatify_textgen.chat")
        # Not in ready(): the admin, which is mostly ready before, copies the labels.
        import_module("creatify_textgen.models.labels").translate_labels(self.models.values())

    def ready(self) -> None:
        """Register checks, tasks and receivers; web processes need the tasks to publish them."""
        # They import models, so they cannot be imported before the apps are loaded.
        from creatify_textgen import checks, retention, tasks  # noqa: F401, PLC0415
        from creatify_textgen.chat.erasure import connect_erasure  # noqa: PLC0415

        # Django's own log of requests writes paths, and the path of a delivery has its token.
        hide_tokens()
        retention.connect_deletions()
        connect_erasure()
        for check in (checks.check_values, checks.check_deployment):
            register(check, self.name)
