"""Connects the counters when the site starts."""

from __future__ import annotations

import os
from pathlib import Path

from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

__all__ = ["PrometheusConfig"]


class PrometheusConfig(AppConfig):
    name = "creatify_textgen.contrib.prometheus"
    label = "creatify_textgen_prometheus"
    verbose_name = _("Text generation: figures")

    def ready(self) -> None:
        """Listen to the ends of generations and to readers of streams.

        Raises: ImproperlyConfigured if the folder that processes share does not exist.
        """
        # The import below opens files in this folder. Its own error would not name the variable.
        folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")
        if folder and not Path(folder).is_dir():
            raise ImproperlyConfigured(
                f"PROMETHEUS_MULTIPROC_DIR is {folder}, and that is no folder: create it, empty, "
                "before the processes start."
            )
        from creatify_textgen.contrib.prometheus import counters  # noqa: PLC0415

        counters.listen()
