"""The paths of the API. None of them runs inside the transaction of ATOMIC_REQUESTS."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.apps import apps
from django.urls import path

from creatify_textgen import databases
from creatify_textgen.privacy import discreet
from creatify_textgen.rest.conversations import ConversationStreamView, ConversationViewSet
from creatify_textgen.rest.runs import RunViewSet
from creatify_textgen.rest.viewsets import (
    CreditsView,
    EstimateView,
    GenerationViewSet,
    MediaViewSet,
    ModelsView,
)

__all__ = ["urlpatterns"]

if apps.is_installed("drf_spectacular"):
    # Importing its extensions registers them.
    import_module("creatify_textgen.rest.openapi")


def _view(view: Any) -> Any:
    return databases.outside_transactions(discreet(view))


# No router of DRF: paths and names are fixed in the documentation, and a router would add a root
# page and paths with formats.
def generations(**actions: Any) -> Any:
    return _view(GenerationViewSet.as_view(actions))


def media(**actions: Any) -> Any:
    return _view(MediaViewSet.as_view(actions))


def conversations(**actions: Any) -> Any:
    return _view(ConversationViewSet.as_view(actions))


def runs(**actions: Any) -> Any:
    return _view(RunViewSet.as_view(actions))


RUN = "runs/<uuid:run_id>/"
CALL = f"{RUN}calls/<uuid:call_id>/"
CONVERSATION = "conversations/<uuid:conversation_id>/"
ONE = "generations/<uuid:generation_id>/"

urlpatterns = [
    path("generations/", generations(get="list", post="create"), name="generation-list"),
    path(ONE, generations(get="retrieve", delete="destroy"), name="generation-detail"),
    path(f"{ONE}refresh/", generations(post="refresh"), name="generation-refresh"),
    path(f"{ONE}retry/", generations(post="retry"), name="generation-retry"),
    path(f"{ONE}cancel/", generations(post="cancel"), name="generation-cancel"),
    path("conversations/", conversations(get="list", post="create"), name="conversation-list"),
    path(
        CONVERSATION,
        conversations(get="retrieve", patch="partial_update", delete="destroy"),
        name="conversation-detail",
    ),
    path(f"{CONVERSATION}fork/", conversations(post="fork"), name="conversation-fork"),
    path(
        f"{CONVERSATION}messages/",
        conversations(get="messages", post="say"),
        name="conversation-messages",
    ),
    path(
        f"{CONVERSATION}messages/stream/",
        _view(ConversationStreamView.as_view()),
        name="conversation-stream",
    ),
    path(f"{ONE}stop/", generations(post="stop"), name="generation-stop"),
    path(f"{ONE}settle/", generations(post="settle"), name="generation-settle"),
    path("runs/", runs(get="list"), name="run-list"),
    path(RUN, runs(get="retrieve"), name="run-detail"),
    path(f"{RUN}stop/", runs(post="stop"), name="run-stop"),
    path(f"{CALL}approve/", runs(post="approve"), name="run-approve"),
    path(f"{CALL}reject/", runs(post="reject"), name="run-reject"),
    path("credits/", _view(CreditsView.as_view()), name="credits"),
    path("estimate/", _view(EstimateView.as_view()), name="estimate"),
    path("models/", _view(ModelsView.as_view()), name="models"),
    path("media/", media(post="create"), name="media-list"),
    path("media/<uuid:media_id>/", media(get="retrieve"), name="media-detail"),
]
