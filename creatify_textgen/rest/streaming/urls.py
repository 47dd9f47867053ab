"""Paths of the streaming endpoints. Their views run outside the host's `ATOMIC_REQUESTS`."""

from __future__ import annotations

from typing import Any

from django.urls import path

from creatify_textgen import databases
from creatify_textgen.privacy import discreet
from creatify_textgen.rest.streaming.views import AttachView, StreamView, TicketView

__all__ = ["urlpatterns"]


def _view(view: Any) -> Any:
    return databases.outside_transactions(discreet(view))


ONE = "generations/<uuid:generation_id>/"

# No order to keep: `stream` is not a UUID, so it is never taken for an id.
urlpatterns = [
    path("generations/stream/", _view(StreamView.as_view()), name="generation-stream"),
    path(f"{ONE}stream/", _view(AttachView.as_view()), name="generation-attach"),
    path(f"{ONE}ticket/", _view(TicketView.as_view()), name="generation-ticket"),
]
