"""Every path, method and filter of the REST API for every role: who is let in, and nobody else.

A path, a method or a filter that is not in the tables fails the test: decide who may use it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.db import transaction
from django.urls import URLPattern, URLResolver, reverse
from rest_framework.test import APIClient

from creatify_textgen import clock, urls
from creatify_textgen.chat import Conversation, Run, Step, ToolCall
from creatify_textgen.models import Generation, Media
from creatify_textgen.rest.filters import CreditsForm, GenerationFilters
from tests import factories

pytestmark = pytest.mark.django_db

METHODS = ("get", "post", "put", "patch", "delete")
REFUSED = {401, 403, 404}
NOT_OFFERED = 405
NO_OPTIONS = {"webhook", "health"}

# Each rule is a list of sets, of which one suffices: of permissions, or `owner`, `user`, `anybody`.
ANYBODY = [{"anybody"}]
USERS = [{"user"}]
OWNER = [{"owner"}]
SEES = [*OWNER, {"view_generation"}]
READS = [*OWNER, {"view_generation", "view_content"}]
OPERATES = [*OWNER, {"view_generation", "operate_generation"}]
NOBODY: list[set[str]] = []

TABLE: dict[str, dict[str, list[set[str]]]] = {
    # Its token lets in the remote alone, whoever is signed in.
    "webhook": {"post": NOBODY},
    "health": {"get": ANYBODY},
    "generation-list": {"get": USERS, "post": USERS},
    "generation-detail": {"get": SEES, "delete": OWNER},
    "generation-refresh": {"post": OPERATES},
    "generation-retry": {"post": OPERATES},
    "generation-cancel": {"post": OPERATES},
    # What was charged is for staff to decide, also about their own generations.
    "generation-settle": {"post": [{"view_generation", "operate_generation"}]},
    "generation-stop": {"post": OPERATES},
    "generation-stream": {"post": USERS},
    "generation-attach": {"get": READS},
    "generation-ticket": {"post": READS},
    "conversation-list": {"get": USERS, "post": USERS},
    "conversation-detail": {"get": OWNER, "patch": OWNER, "delete": OWNER},
    "conversation-fork": {"post": OWNER},
    "conversation-messages": {"get": OWNER, "post": OWNER},
    "conversation-stream": {"get": OWNER, "post": OWNER},
    "run-list": {"get": USERS},
    "run-detail": {"get": OWNER},
    "run-stop": {"post": OWNER},
    "run-approve": {"post": OWNER},
    "run-reject": {"post": OWNER},
    "credits": {"get": USERS},
    "estimate": {"get": USERS},
    "models": {"get": USERS},
    "media-list": {"post": USERS},
    "media-detail": {"get": [*OWNER, {"view_content"}]},
}
FILTERS: dict[str, tuple[str, list[set[str]]]] = {
    "status": ("queued", SEES),
    "mode": ("async", SEES),
    "model_name": ("gemini-2.5-flash", SEES),
    "created_after": ("2020-01-01T00:00:00Z", SEES),
    "created_before": ("2030-01-01T00:00:00Z", SEES),
    "owner": ("{owner}", SEES),
    "account": ("default", SEES),
    "search": ("secret", READS),
    "metadata__order": ("17", READS),
}
"""A value that the owner's row has, and who finds the row by it."""
CREDITS: dict[str, tuple[str, list[set[str]]]] = {
    "all": ("true", [{"view_generation"}]),
    "by_owner": ("true", [{"view_generation"}]),
    "owner": ("{owner}", [{"view_generation"}]),
    "account": ("default", USERS),
    "all_accounts": ("true", USERS),
    "since": ("2020-01-01", USERS),
    "until": ("2030-01-01", USERS),
}

PERMISSIONS = sorted(
    {
        "add_generation",
        "erase_generation",
        "export_generation",
        "manage_budgets",
        "operate_generation",
        "pause_sending",
        "view_content",
        "view_credits",
        "view_generation",
        "view_media",
    }
)
STAFF = [
    set(),
    *({name} for name in PERMISSIONS),
    *({"view_generation", name} for name in PERMISSIONS if name != "view_generation"),
    set(PERMISSIONS),
]
"""No permission, each alone, each with the right to view, all."""


@dataclass
class Role:
    name: str
    client: APIClient
    has: set[str]

    def suffices(self, rule: list[set[str]]) -> bool:
        return any(needed <= self.has for needed in rule)


@pytest.fixture
def owner() -> User:
    return User.objects.create_user("owner")


@pytest.fixture
def row(owner: User) -> Generation:
    # Recent, because staff find the rows of others within a month.
    return factories.make_generation(
        owner=owner, excerpt="secret", metadata={"order": 17}, created_at=clock.now()
    )


@pytest.fixture
def paths(owner: User, row: Generation) -> dict[str, str]:
    """Return each path, with a row that belongs to the owner."""
    cache.clear()
    media = Media.objects.create(
        owner=owner, kind="image", mime_type="image/png", size=9, sha256="0" * 64, path="0" * 64
    )
    run = Run.objects.create(owner=owner, limit=1, state="waiting")
    step = Step.objects.create(run=run, number=1, generation=row)
    given = {
        "generation_id": row.pk,
        "media_id": media.pk,
        "conversation_id": Conversation.start(owner=owner).pk,
        "run_id": run.pk,
        "call_id": ToolCall.objects.create(step=step, position=0, name="f", state="waiting").pk,
        "token": "wrong",
    }
    found = {
        str(url.name): reverse(
            f"creatify_textgen:{url.name}",
            kwargs={name: given[name] for name in url.pattern.converters},
        )
        for url in patterns(urls.urlpatterns)
    }
    # A reader that has everything: there is no stream to wait for.
    return {**found, "generation-attach": f"{found['generation-attach']}?after=end"}


def patterns(found: list[Any]) -> Iterator[URLPattern]:
    for one in found:
        if isinstance(one, URLResolver):
            yield from patterns(one.url_patterns)
        else:
            yield one


@pytest.fixture
def roles(owner: User) -> Iterator[Role]:
    """Return everybody, one after the other: the permissions of the staff member change."""
    return everybody(owner)


def everybody(owner: User) -> Iterator[Role]:
    yield Role("a stranger", APIClient(), {"anybody"})
    yield role("owner", owner, {"owner"})
    everything = User.objects.create_user("other")
    everything.user_permissions.set(ours())
    # Permissions count for staff alone.
    yield role("another user", everything, set())
    staff = User.objects.create_user("staff", is_staff=True)
    for names in STAFF:
        staff.user_permissions.set([one for one in ours() if one.codename in names])
        yield role(f"staff with {sorted(names)}", staff, names)
    yield role("superuser", User.objects.create_superuser("root"), set(PERMISSIONS))


def ours() -> list[Permission]:
    return list(Permission.objects.filter(content_type__app_label="creatify_textgen"))


def role(name: str, user: User, has: set[str]) -> Role:
    client = APIClient(raise_request_exception=False)
    client.force_login(user)
    return Role(name, client, {"anybody", "user", *has})


def call(one: Role, method: str, path: str) -> int:
    """Return the status, and take back whatever it has changed."""
    with transaction.atomic():
        body = {} if method == "get" else {"data": {}, "format": "json"}
        response = getattr(one.client, method)(path, **body)
        transaction.set_rollback(True)
    return int(response.status_code)


class TestPaths:
    def test_are_all_in_the_table(self, paths: dict[str, str]) -> None:
        assert set(paths) == TABLE.keys()

    def test_let_in_who_may_and_nobody_else(
        self, paths: dict[str, str], roles: Iterator[Role]
    ) -> None:
        wrong = []
        for one in roles:
            for name, methods in TABLE.items():
                for method, rule in methods.items():
                    status = call(one, method, paths[name])
                    is_odd = status == NOT_OFFERED or status >= 500
                    if (status not in REFUSED) != one.suffices(rule) or is_odd:
                        wrong.append((name, method, one.name, status))
        assert wrong == []

    @pytest.mark.parametrize("superuser", [True, False], ids=["superuser", "stranger"])
    def test_offer_no_other_method(self, paths: dict[str, str], superuser: bool) -> None:
        user = User.objects.create_superuser("root")
        one = role("root", user, set()) if superuser else Role("", APIClient(), set())
        offered = [
            (name, method, status)
            for name, methods in TABLE.items()
            for method in METHODS
            if method not in methods
            and (status := call(one, method, paths[name])) not in {401, 403, NOT_OFFERED}
        ]
        assert offered == []

    def test_say_to_everybody_what_they_offer(
        self, paths: dict[str, str], roles: Iterator[Role]
    ) -> None:
        wrong = []
        for one in roles:
            # The receiver and the health page are no views of DRF's.
            rest = {name: path for name, path in paths.items() if name not in NO_OPTIONS}
            for name, path in rest.items():
                response = one.client.options(path)
                allowed = {200} if "user" in one.has else {401, 403}
                if response.status_code not in allowed or not response.json():
                    wrong.append((name, one.name, response.status_code))
        assert wrong == []

    def test_of_rows_that_nobody_has_look_like_those_of_others(
        self, paths: dict[str, str], row: Generation
    ) -> None:
        user = role("user", User.objects.create_user("user"), set())
        for name in ("generation-detail", "generation-attach"):
            missing = paths[name].replace(str(row.pk), str(uuid.uuid4()))
            answers = [user.client.get(path) for path in (missing, paths[name])]
            assert answers[0].status_code == 404
            assert answers[0].json() == answers[1].json()


class TestFilters:
    def test_are_all_in_the_table(self) -> None:
        assert set(FILTERS) == {*GenerationFilters.base_filters, "metadata__order"}
        assert set(CREDITS) == set(CreditsForm.base_fields)

    def test_find_rows_for_who_may_know(
        self, paths: dict[str, str], owner: User, roles: Iterator[Role]
    ) -> None:
        wrong = []
        for one in roles:
            if "user" not in one.has:
                continue
            for name, (value, rule) in FILTERS.items():
                query = {name: value.format(owner=owner.pk)}
                found = one.client.get(paths["generation-list"], query).json()["results"]
                if bool(found) != one.suffices(rule):
                    wrong.append((name, one.name, len(found)))
        assert wrong == []

    def test_sum_up_the_credits_of_others_for_staff(
        self, paths: dict[str, str], owner: User, roles: Iterator[Role]
    ) -> None:
        wrong = []
        for one in roles:
            for name, (value, rule) in CREDITS.items():
                query = {name: value.format(owner=owner.pk)}
                status = one.client.get(paths["credits"], query).status_code
                if (status == 200) != one.suffices(rule):
                    wrong.append((name, one.name, status))
        assert wrong == []
