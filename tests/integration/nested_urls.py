"""A host that mounts the app within its own namespace, under another name."""

from __future__ import annotations

from django.urls import include, path

inner = ([path("ai/", include("creatify_textgen.urls", namespace="texts"))], "api")

urlpatterns = [path("api/v1/", include(inner, namespace="v1"))]
