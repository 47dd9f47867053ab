"""Connects the counters when the site starts."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

__all__ = ["PrometheusConfig"]


class PrometheusConfig(AppConfig):
    name = "creatify_textgen.contrib.prometheus"
    label = "creatify_textgen_prometheus"
    verbose_name = _("Text generation: figures")

    def ready(self) -> None:
        """Listen to the ends of generations and to readers of streams."""
        from creatify_textgen.contrib.prometheus import counters  # noqa: PLC0415

        counters.listen()
