"""The host project's URLs, mounted as the quick start says."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("textgen/", include("creatify_textgen.urls")),
]
