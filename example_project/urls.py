"""The site's paths: the assistant, the admin, and the app's REST API with one endpoint more."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import include, path

from creatify_textgen.rest.runs import ConversationRunView
from example_project.tools import TOOLS
from example_project.views import assistant

urlpatterns = [
    path("", assistant, name="assistant"),
    path("admin/", admin.site.urls),
    path("logout/", LogoutView.as_view(), name="logout"),
    path(
        "textgen/conversations/<uuid:conversation_id>/run/",
        ConversationRunView.as_view(tools=TOOLS),
    ),
    path("textgen/", include("creatify_textgen.urls")),
]
