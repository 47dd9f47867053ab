from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("textgen/", include("creatify_textgen.urls"))]
