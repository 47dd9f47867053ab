"""The site's paths: a page, the admin, and the app's REST API."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from example_project.views import index

urlpatterns = [
    path("", index, name="index"),
    path("admin/", admin.site.urls),
    path("textgen/", include("creatify_textgen.urls")),
]
