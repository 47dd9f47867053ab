"""Connects the observer when the site starts."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

__all__ = ["OpenTelemetryConfig"]


class OpenTelemetryConfig(AppConfig):
    name = "creatify_textgen.contrib.opentelemetry"
    label = "creatify_textgen_opentelemetry"
    verbose_name = _("Text generation: traces")

    def ready(self) -> None:
        """Observe calls of the remote and the ends of generations."""
        from creatify_textgen.contrib.opentelemetry.listening import listen  # noqa: PLC0415

        listen()
