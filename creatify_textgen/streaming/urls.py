"""Paths of this door. Streams leave their transaction to the journey, whatever the host says."""

from __future__ import annotations

from typing import Any

from django.db import connections, transaction
from django.urls import path

from creatify_textgen.privacy import discreet
from creatify_textgen.streaming.views import AttachView, StreamView, TicketView

__all__ = ["urlpatterns"]


def outside_transactions(view: Any) -> Any:
    """The pump must see the row before the answer has ended, so ATOMIC_REQUESTS may not hold it."""
    view = discreet(view)
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view


ONE = "generations/<uuid:generation_id>/"

urlpatterns = [
    path(
        "generations/stream/", outside_transactions(StreamView.as_view()), name="generation-stream"
    ),
    path(f"{ONE}stream/", outside_transactions(AttachView.as_view()), name="generation-attach"),
    path(f"{ONE}ticket/", outside_transactions(TicketView.as_view()), name="generation-ticket"),
]
