"""The API's paths. None of them runs in a transaction of the request's own."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.apps import apps
from django.db import connections, transaction
from django.urls import path

from creatify_textgen.privacy import discreet
from creatify_textgen.rest.viewsets import CreditsView, GenerationViewSet, MediaViewSet

__all__ = ["urlpatterns"]

if apps.is_installed("drf_spectacular"):
    # Its extensions register themselves by being defined.
    import_module("creatify_textgen.rest.openapi")


def outside_transactions(view: Any) -> Any:
    """A row must be committed before the remote is called, so ATOMIC_REQUESTS may not hold it."""
    view = discreet(view)
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view


def generations(**actions: Any) -> Any:
    return outside_transactions(GenerationViewSet.as_view(actions))


def media(**actions: Any) -> Any:
    return outside_transactions(MediaViewSet.as_view(actions))


ONE = "generations/<uuid:generation_id>/"

urlpatterns = [
    path("generations/", generations(get="list", post="create"), name="generation-list"),
    path(ONE, generations(get="retrieve"), name="generation-detail"),
    path(f"{ONE}refresh/", generations(post="refresh"), name="generation-refresh"),
    path(f"{ONE}retry/", generations(post="retry"), name="generation-retry"),
    path(f"{ONE}cancel/", generations(post="cancel"), name="generation-cancel"),
    path("credits/", outside_transactions(CreditsView.as_view()), name="credits"),
    path("media/", media(post="create"), name="media-list"),
    path("media/<uuid:media_id>/", media(get="retrieve"), name="media-detail"),
]
