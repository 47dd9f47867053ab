"""The paths of probes and scrapers. `metrics/` exists if the host lists the app that serves it."""

from __future__ import annotations

from django.apps import apps
from django.urls import URLPattern, URLResolver, include, path

from creatify_textgen.monitoring.views import health

__all__ = ["urlpatterns"]

PROMETHEUS = "creatify_textgen.contrib.prometheus"

urlpatterns: list[URLPattern | URLResolver] = [path("health/", health, name="health")]
if apps.is_installed(PROMETHEUS):
    urlpatterns.append(path("", include(f"{PROMETHEUS}.urls")))
