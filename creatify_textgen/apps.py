"""The app's entry in a Django site."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register
from django.utils.translation import gettext_lazy as _

__all__ = ["CreatifyTextgenConfig"]


class CreatifyTextgenConfig(AppConfig):
    name = "creatify_textgen"
    verbose_name = _("Text generation")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the checks, and the tasks: web processes publish them by name."""
        from creatify_textgen import checks, tasks  # noqa: F401, PLC0415

        for check in (checks.check_values, checks.check_deployment):
            register(check, self.name)
