"""The path of the scraper. `creatify_textgen.urls` includes it if this app is installed."""

from __future__ import annotations

from django.urls import path

from creatify_textgen.contrib.prometheus.views import metrics

__all__ = ["urlpatterns"]

urlpatterns = [path("metrics/", metrics, name="metrics")]
