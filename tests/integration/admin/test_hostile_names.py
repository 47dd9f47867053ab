"""Names that would change how the text around them reads: on no page of the app as they are."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.auth.models import Group, User
from django.db import models
from django.test import Client

from creatify_textgen.admin.permissions import ReadOnlyAdmin
from creatify_textgen.chat import Conversation, Run
from creatify_textgen.models import Budget, BulkJob, Generation, Pause
from tests.factories import NOW, save_usage

from .conftest import HISTORY, make_done, make_media

APP = "/admin/creatify_textgen/"
HOSTILE = "X\u202e\u2066\u200f\x1b[31m\u200b<b>"
ACTING = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u200b\x1b]|<b>")
TYPED = re.compile(r' (?:value|data-model)="[^"]*"')
"""What a form or a script uses, and nobody reads, must be as it was."""
HASHES = {"sha256", "fingerprint"}
TEXTS = (models.CharField, models.TextField)
OURS = [one for one in admin.site._registry.values() if isinstance(one, ReadOnlyAdmin)]


@pytest.fixture
def paths(db: None, settings: Any) -> list[str]:
    """Save rows of every kind, and return the pages that show them."""
    key = {"API_ID": "i", "API_KEY": "k", "BASE_URL": "http://127.0.0.1:1"}
    settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": key, HOSTILE: key}}
    owner = User.objects.create(username=HOSTILE)
    names = {"account": HOSTILE, "model_name": HOSTILE, "owner": owner}
    group = Group.objects.create(name=HOSTILE)
    day = save_usage(**names, day=NOW.date(), status="done", credits_used=1, generations=1)
    rows = [
        make_done(**names, error_code=HOSTILE, finish_reason=HOSTILE, remote_id=HOSTILE),
        make_media(owner=owner, mime_type=HOSTILE, path=HOSTILE),
        Budget.objects.create(**names, name=HOSTILE, limit=1, group=group),
        Conversation.objects.create(**names, title=HOSTILE),
        Run.objects.create(owner=owner, error_code=HOSTILE, state="failed", limit=1),
        BulkJob.objects.create(verb="retry", until=NOW, due_at=NOW, requested_by=owner),
        day,
    ]
    Pause.objects.create(
        account=HOSTILE, code="paused", reason=HOSTILE, paused_by=owner, paused_at=NOW
    )
    found = [APP, f"{HISTORY}credits/?account=*&period=all", f"{HISTORY}pause/", f"{HISTORY}add/"]
    found += [f"{HISTORY}add/?from={rows[0].pk}", f"{HISTORY}?owner={owner.pk}"]
    for row in rows:
        model = f"{APP}{row._meta.model_name}/"
        found += [model, *(f"{model}{row.pk}/{page}/" for page in ("change", "history", "delete"))]
    return found


class TestHostileNames:
    def test_act_on_no_page(self, paths: list[str], admin_client: Client) -> None:
        acting = [path for path in paths if _acts(admin_client.get(path))]
        assert acting == []

    def test_act_in_no_list_of_actions(self, paths: list[str], admin_client: Client) -> None:
        budget = Budget.objects.get()
        page = f"{APP}budget/{budget.pk}/"
        admin_client.post(f"{page}change/", {"name": HOSTILE, "limit": "2", "is_hard": "on"})
        admin_client.post(f"{HISTORY}pause/", {"account": HOSTILE, "reason": "r"})
        assert not _acts(admin_client.post(f"{page}delete/", {"post": "yes"}, follow=True))
        assert not _acts(admin_client.get("/admin/"))

    @pytest.mark.parametrize("model_admin", OURS, ids=str)
    def test_are_shown_by_no_column_as_it_is(self, model_admin: Any, rf: Any) -> None:
        request = rf.get("/")
        request.user = User(is_superuser=True, is_staff=True)
        row = model_admin.model()
        on_page = set(flatten_fieldsets(model_admin.get_fieldsets(request, row)))
        if model_admin.has_change_permission(request):
            on_page &= set(model_admin.get_readonly_fields(request, row))
        shown = {*model_admin.get_list_display(request), *on_page} - HASHES
        assert [name for name in shown if _is_free_text(model_admin.model, name)] == []


def _acts(response: Any) -> bool:
    return bool(ACTING.search(TYPED.sub("", response.text)))


def _is_free_text(model: Any, name: Any) -> bool:
    names = {field.name: field for field in model._meta.get_fields()}
    field = names.get(name) if isinstance(name, str) else None
    return isinstance(field, TEXTS) and not field.choices


class TestOwnerFilter:
    def shown(self, client: Client, path: str, owner: User) -> bool:
        return str(owner) in client.get(path, {"owner": owner.pk}).text

    def test_names_nobody_without_rows(self, staff_with: Callable[..., Client]) -> None:
        client, stranger = staff_with("view_generation"), User.objects.create_user("stranger")
        assert not self.shown(client, HISTORY, stranger)
        Generation.objects.filter(pk=make_done(owner=stranger).pk).update(created_at=NOW)
        assert self.shown(client, HISTORY, stranger)

    def test_names_no_owner_of_what_one_may_not_view(
        self, staff_with: Callable[..., Client]
    ) -> None:
        owner = User.objects.create_user("somebody-else")
        make_done(owner=owner)
        client = staff_with("view_media")
        assert str(owner) not in client.get(f"{APP}media/").text
        assert not self.shown(client, f"{APP}media/", owner)
        make_media(owner=owner)
        assert self.shown(client, f"{APP}media/", owner)
