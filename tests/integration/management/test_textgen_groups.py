"""`manage.py textgen_groups`."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django.urls import reverse

from creatify_textgen.management.commands.textgen_groups import GROUPS

pytestmark = pytest.mark.django_db


class TestGroups:
    def test_have_just_their_permissions(self) -> None:
        for _ in range(2):
            call_command("textgen_groups")
        for name, codenames in GROUPS.items():
            held = Group.objects.get(name=name).permissions.values_list("codename", flat=True)
            assert set(held) == set(codenames)

    @pytest.mark.parametrize(("group", "reads"), [("reviewer", True), ("finance", False)])
    def test_let_only_reviewers_read(self, group: str, *, reads: bool) -> None:
        call_command("textgen_groups")
        user = User.objects.create_user("colleague")
        user.groups.add(Group.objects.get(name=group))
        assert user.has_perm("creatify_textgen.view_content") is reads

    @pytest.mark.parametrize("needed", ["creatify_textgen.add_generation", "auth.view_group"])
    def test_let_authors_generate(self, settings: Any, needed: str) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "CREATE_PERMISSION": needed}
        call_command("textgen_groups")
        author, other = (User.objects.create_user(name, is_staff=True) for name in ("a", "b"))
        author.groups.add(Group.objects.get(name="author"))
        other.groups.set(Group.objects.exclude(name="author"))
        for user, status in ((author, 200), (other, 403)):
            client = Client()
            client.force_login(user)
            assert (
                client.get(reverse("admin:creatify_textgen_generation_add")).status_code == status
            )
            asked = client.post("/textgen/generations/", {"prompt": 1}, "application/json")
            assert (asked.status_code == 403) == (status == 403)

    def test_have_names_that_every_database_holds(self) -> None:
        with pytest.raises(CommandError, match="at most 150 characters"):
            call_command("textgen_groups", prefix="x" * 143)
        assert not Group.objects.exists()

    def test_leave_alone_a_group_of_the_site(self) -> None:
        Group.objects.create(name="operator")
        with pytest.raises(CommandError, match="--prefix"):
            call_command("textgen_groups")
        assert Group.objects.count() == 1
        call_command("textgen_groups", prefix="textgen ")
        assert Group.objects.filter(name="textgen operator").exists()
