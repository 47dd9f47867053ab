"""`manage.py textgen_groups`: makes groups of users with the permissions that their work needs."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.core.management.base import CommandError
from django.db.models import Q, QuerySet

from creatify_textgen.conf import conf
from creatify_textgen.management.terminal import PlainCommand

__all__ = ["GROUPS", "Command"]

APP = "creatify_textgen"
AUTHOR = "author"
"""Also has the permission of the setting `CREATE_PERMISSION`, whatever it is."""
GROUPS = {
    "reviewer": (
        "view_generation",
        "view_content",
        "view_media",
        "view_conversation",
        "view_run",
        "view_toolcall",
    ),
    "operator": (
        "view_generation",
        "operate_generation",
        "view_credits",
        "pause_sending",
        "view_budget",
    ),
    "finance": (
        "view_generation",
        "view_usageday",
        "view_credits",
        "export_generation",
        "manage_budgets",
        "view_budget",
    ),
    AUTHOR: ("add_generation",),
}
"""Names of groups and the codenames of their permissions. Only reviewers read content of others."""

# `max_length` of Django's `Group.name`. SQLite does not enforce it.
LONGEST_NAME = 150


class Command(PlainCommand):
    help = (
        "Create the groups reviewer, operator, finance and author. May be run again after an "
        "update, or after CREATE_PERMISSION has changed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--prefix", default="", help="put before each name, such as 'textgen '")

    def handle(self, *_: Any, **options: Any) -> None:
        groups = {f"{options['prefix']}{name}": _permissions(name) for name in GROUPS}
        if max(map(len, groups)) > LONGEST_NAME:
            raise CommandError(f"A group's name has at most {LONGEST_NAME} characters: --prefix.")
        # All are checked before the first is made, so a refusal leaves nothing behind.
        for name in groups:
            _refuse_a_group_of_the_site(name)
        for name, permissions in groups.items():
            Group.objects.get_or_create(name=name)[0].permissions.add(*permissions)
            self.stdout.write(f"{name}: {', '.join(one.codename for one in permissions)}")


def _permissions(name: str) -> QuerySet[Permission]:
    wanted = Q(content_type__app_label=APP, codename__in=GROUPS[name])
    if name == AUTHOR and conf.create_permission:
        label, _, codename = conf.create_permission.partition(".")
        wanted |= Q(content_type__app_label=label, codename=codename)
    return Permission.objects.filter(wanted)


def _refuse_a_group_of_the_site(name: str) -> None:
    group = Group.objects.filter(name=name).first()
    # A group with this name and without permissions of this app was made for something else. Its
    # members would get rights that nobody meant to give them.
    if group and not group.permissions.filter(content_type__app_label=APP).exists():
        raise CommandError(
            f"This site has a group {name!r} already. Choose other names: --prefix 'textgen '."
        )
