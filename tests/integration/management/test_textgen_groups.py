"""`manage.py textgen_groups`."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.core.management.base import CommandError

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
