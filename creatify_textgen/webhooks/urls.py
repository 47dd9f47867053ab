"""The path of the receiver. Only the token in it distinguishes the remote from a stranger."""

from __future__ import annotations

from django.urls import path

from creatify_textgen.webhooks.views import receive

__all__ = ["urlpatterns"]

urlpatterns = [
    path("webhooks/<uuid:generation_id>/<str:token>/", receive, name="webhook"),
]
