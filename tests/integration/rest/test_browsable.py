"""`OPTIONS`, and the pages of DRF's browsable API on a host that has them."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from creatify_textgen import services
from creatify_textgen.chat import Conversation
from creatify_textgen.models import Generation

pytestmark = pytest.mark.django_db

JSON, PAGE = (
    f"rest_framework.renderers.{name}" for name in ("JSONRenderer", "BrowsableAPIRenderer")
)
HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
CREATE = "creatify_textgen.add_generation"


class OnlyOptions(BasePermission):
    """A host's permission that refuses with Django's errors instead of DRF's."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.method == "POST":
            raise PermissionDenied("Ask for access.")
        if request.method != "OPTIONS":
            raise Http404("There is nothing.")
        return True


class NotThisOne(BasePermission):
    def has_object_permission(self, request: Request, view: APIView, obj: Any) -> bool:
        raise PermissionDenied("Ask for access.")


def endpoints() -> dict[str, URLPattern]:
    """Return every path of the app whose view is DRF's, by name."""
    found: dict[str, URLPattern] = {}
    stack: list[Any] = list(get_resolver("creatify_textgen.urls").url_patterns)
    while stack:
        entry = stack.pop()
        if isinstance(entry, URLResolver):
            stack += entry.url_patterns
        elif hasattr(entry.callback, "cls"):
            found[str(entry.name)] = entry
    return found


ENDPOINTS = endpoints()
MISSING = {
    "conversation-detail",
    "conversation-messages",
    "generation-detail",
    "media-detail",
    "run-detail",
}
"""Pages of one row; the tests ask for a row that does not exist."""
POST_ONLY = {
    "conversation-fork",
    "generation-cancel",
    "generation-refresh",
    "generation-retry",
    "generation-settle",
    "generation-stop",
    "media-list",
    "run-approve",
    "run-reject",
    "run-stop",
}
STATUSES = dict.fromkeys(MISSING, 404) | dict.fromkeys(POST_ONLY, 405)
STREAMS = {"generation-stream", "generation-attach", "generation-ticket", "conversation-stream"}


def path_of(name: str, **keys: Any) -> str:
    wanted = ENDPOINTS[name].pattern.converters
    return reverse(
        f"creatify_textgen:{name}", kwargs={key: keys.get(key, uuid.uuid4()) for key in wanted}
    )


@pytest.fixture
def user() -> User:
    return User.objects.create_user("owner", password="x")


@pytest.fixture
def visitor(user: User, settings: Any) -> Client:
    settings.REST_FRAMEWORK = {"DEFAULT_RENDERER_CLASSES": [JSON, PAGE]}
    client = Client(headers=HTML, raise_request_exception=True)
    client.force_login(user)
    return client


def is_page(response: Any) -> bool:
    return bool(response["Content-Type"].startswith("text/html"))


class TestOptions:
    def test_covers_every_endpoint(self) -> None:
        assert len(ENDPOINTS) > 20
        assert set(ENDPOINTS) > STREAMS

    @pytest.mark.parametrize("name", sorted({*ENDPOINTS} - {"generation-settle"}))
    def test_say_what_the_user_may_do(self, name: str, visitor: Client) -> None:
        response = visitor.options(path_of(name), headers={"Accept": "application/json"})
        assert response.status_code == 200
        answer = response.json()
        offered = {word.strip() for word in response["Allow"].split(",")}
        assert {*answer["methods"], "OPTIONS"} == offered - {"HEAD"}
        assert answer["name"]
        assert "application/json" in answer["renders"]
        assert ("text/event-stream" in answer["renders"]) == (
            name in STREAMS and name != "generation-ticket"
        )

    @pytest.mark.parametrize("name", sorted(ENDPOINTS))
    def test_are_not_for_strangers(self, name: str) -> None:
        # Only a reader with a ticket needs no session, so only there a login would help.
        expected = 401 if name == "generation-attach" else 403
        assert Client().options(path_of(name)).status_code == expected

    @pytest.mark.parametrize("name", ["generation-list", "generation-stream"])
    def test_leave_out_what_needs_a_permission(
        self, name: str, visitor: Client, user: User, settings: Any
    ) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "CREATE_PERMISSION": CREATE}
        as_json = {"Accept": "*/*"}
        answer = visitor.options(path_of(name), headers=as_json).json()
        assert "POST" not in answer["methods"]
        user.user_permissions.add(Permission.objects.get(codename="add_generation"))
        visitor.force_login(User.objects.get(pk=user.pk))
        assert "POST" in visitor.options(path_of(name), headers=as_json).json()["methods"]

    def test_leave_out_what_is_for_staff(self, visitor: Client, user: User) -> None:
        path, as_json = path_of("generation-settle"), {"Accept": "*/*"}
        assert visitor.options(path, headers=as_json).json()["methods"] == []
        user.user_permissions.add(Permission.objects.get(codename="operate_generation"))
        User.objects.update(is_staff=True)
        visitor.force_login(User.objects.get(pk=user.pk))
        assert visitor.options(path, headers=as_json).json()["methods"] == ["POST"]

    def test_do_not_say_which_rows_exist(self, visitor: Client) -> None:
        other = services.submit("Hello", owner=User.objects.create_user("other"))
        paths = [
            path_of("generation-detail", generation_id=key) for key in (other.pk, uuid.uuid4())
        ]
        answers = [visitor.options(path, headers={"Accept": "*/*"}) for path in paths]
        assert answers[0].json() == answers[1].json()

    @pytest.mark.parametrize("name", sorted(ENDPOINTS))
    @pytest.mark.parametrize("accept", [HTML["Accept"], "*/*"], ids=["page", "json"])
    def test_hold_with_a_permission_that_raises_djangos_error(
        self, name: str, accept: str, visitor: Client, settings: Any
    ) -> None:
        settings.REST_FRAMEWORK |= {"DEFAULT_PERMISSION_CLASSES": [f"{__name__}.OnlyOptions"]}
        response = visitor.options(path_of(name), headers={"Accept": accept})
        assert response.status_code == 200
        if not is_page(response):
            assert response.json()["methods"] == []

    def test_hold_with_the_hosts_model_permissions(self, visitor: Client, settings: Any) -> None:
        settings.REST_FRAMEWORK = {
            "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.DjangoModelPermissions"]
        }
        answer = visitor.options(path_of("generation-list"), headers={"Accept": "*/*"}).json()
        assert answer["methods"] == ["GET"]


class TestPage:
    @pytest.mark.parametrize("name", sorted(set(ENDPOINTS) - STREAMS))
    def test_is_shown_for_every_endpoint(self, name: str, visitor: Client) -> None:
        response = visitor.get(path_of(name))
        assert is_page(response)
        assert response.status_code == STATUSES.get(name, 200)

    @pytest.mark.parametrize("name", sorted(STREAMS))
    def test_is_not_shown_for_streams(self, name: str, visitor: Client) -> None:
        response = visitor.get(path_of(name))
        assert response["Content-Type"] == "application/json"

    def test_shows_a_row_with_its_text_escaped(self, visitor: Client, user: User) -> None:
        row = services.submit("<script>alert(1)</script>", owner=user)
        for path in (
            path_of("generation-detail", generation_id=row.pk),
            path_of("generation-list"),
        ):
            page = visitor.get(path).content.decode()
            assert str(row.pk) in page
            assert "<script>alert" not in page
            assert "alert(1)" in page

    def test_has_a_form_that_works(self, visitor: Client, user: User) -> None:
        page = visitor.get(path_of("generation-list")).content.decode()
        assert 'name="_content"' in page
        assert "response_text" not in page
        body = {"messages": "Hello"}
        response = visitor.post(path_of("generation-list"), body, content_type="application/json")
        assert (response.status_code, is_page(response)) == (202, True)
        assert Generation.objects.get().owner == user

    def test_of_a_new_message_is_shown(self, visitor: Client, user: User) -> None:
        conversation = Conversation.start(owner=user)
        path = path_of("conversation-messages", conversation_id=conversation.pk)
        response = visitor.post(path, {"content": "Hello"}, content_type="application/json")
        assert (response.status_code, is_page(response)) == (202, True)

    def test_shows_the_filters(self, visitor: Client) -> None:
        page = visitor.get(path_of("generation-list"), {"status": "done"}).content.decode()
        assert 'name="created_after"' in page

    def test_needs_no_templates_of_django_filter(self, visitor: Client, settings: Any) -> None:
        settings.INSTALLED_APPS = [a for a in settings.INSTALLED_APPS if a != "django_filters"]
        page = visitor.get(path_of("generation-list")).content.decode()
        assert 'name="created_after"' not in page

    def test_of_a_conversation_has_pages_too(self, visitor: Client, user: User) -> None:
        conversation = Conversation.start(owner=user, title="Mine")
        for name in ("conversation-detail", "conversation-messages"):
            response = visitor.get(path_of(name, conversation_id=conversation.pk))
            assert (response.status_code, is_page(response)) == (200, True)

    def test_of_a_refusal_is_a_page(self, visitor: Client) -> None:
        response = visitor.post(path_of("generation-list"), "{", content_type="application/json")
        assert (response.status_code, is_page(response)) == (400, True)
        stranger = Client(headers=HTML).get(path_of("generation-list"))
        assert (stranger.status_code, is_page(stranger)) == (403, True)

    @pytest.mark.parametrize("accept", ["*/*", "application/json", "image/avif", "x"])
    def test_is_only_for_those_who_ask_for_html(self, accept: str, visitor: Client) -> None:
        response = visitor.get(path_of("generation-list"), headers={"Accept": accept})
        assert response["Content-Type"] == "application/json"

    def test_leads_to_the_json(self, visitor: Client) -> None:
        response = visitor.get(path_of("generation-list"), {"format": "json"})
        assert response["Content-Type"] == "application/json"

    def test_is_not_kept_by_caches(self, visitor: Client) -> None:
        response = visitor.get(path_of("generation-list"))
        assert response["Cache-Control"] == "private, no-store"
        assert "Accept" in response["Vary"]

    def test_is_not_there_on_a_host_without_it(self, visitor: Client, settings: Any) -> None:
        settings.REST_FRAMEWORK = {"DEFAULT_RENDERER_CLASSES": [JSON]}
        response = visitor.get(path_of("generation-list"))
        assert response["Content-Type"] == "application/json"


class TestRefusalOfTheHost:
    def test_in_djangos_words_has_the_form_of_ours(self, visitor: Client, settings: Any) -> None:
        settings.REST_FRAMEWORK |= {"DEFAULT_PERMISSION_CLASSES": [f"{__name__}.OnlyOptions"]}
        answers = [
            visitor.post(path_of("generation-list"), {}, headers={"Accept": "*/*"}),
            visitor.get(path_of("generation-list"), headers={"Accept": "*/*"}),
        ]
        found = [(one.status_code, one.json()["code"], one.json()["error"]) for one in answers]
        assert found == [
            (403, "permission_denied", "Ask for access."),
            (404, "not_found", "There is nothing."),
        ]

    def test_of_one_row_leaves_its_page_readable(
        self, visitor: Client, user: User, settings: Any
    ) -> None:
        settings.REST_FRAMEWORK |= {"DEFAULT_PERMISSION_CLASSES": [f"{__name__}.NotThisOne"]}
        row = services.submit("Hello", owner=user)
        path = path_of("generation-detail", generation_id=row.pk)
        response = visitor.get(path, headers={"Accept": "*/*"})
        assert (response.status_code, response.json()["code"]) == (403, "permission_denied")
        assert is_page(visitor.get(path))
