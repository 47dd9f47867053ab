"""All paths of the app. Include them as `path("textgen/", include("creatify_textgen.urls"))`."""

from __future__ import annotations

from django.urls import include, path

__all__ = ["app_name", "urlpatterns"]

app_name = "creatify_textgen"

urlpatterns = [
    path("", include("creatify_textgen.webhooks.urls")),
    path("", include("creatify_textgen.monitoring.urls")),
    path("", include("creatify_textgen.rest.streaming.urls")),
    path("", include("creatify_textgen.rest.urls")),
]
