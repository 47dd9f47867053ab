"""The paths of a host that lists the app of the figures."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("textgen/", include("creatify_textgen.contrib.prometheus.urls"))]
