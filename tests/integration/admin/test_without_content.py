"""Whoever may do everything but read content: no page, list, file or answer shows any of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from creatify_textgen.chat import Conversation, Run, Step, ToolCall, Turn
from creatify_textgen.models import BulkJob, Generation, GenerationContent, Media
from tests.factories import NOW

from .conftest import make_done

pytestmark = pytest.mark.django_db

APP = "creatify_textgen"
REST = "/textgen/"
RESTS = ("generations/", "conversations/", "runs/", "credits/?by_owner=true", "models/", "health/")
Row = dict[str, Model]


class Secrets:
    """Makes texts that are nowhere else, and finds them again."""

    def __init__(self) -> None:
        self._number = count()

    def __call__(self) -> str:
        return f"sEcReT-{next(self._number)}-end"

    @staticmethod
    def found_in(text: str) -> bool:
        return "secret-" in text.lower()


def make_rows(secret: Secrets) -> Row:
    """Save a row of each model that has content, with a secret in each column that is content."""
    call = {"name": "look_up", "args": {secret(): secret()}}
    generation = make_done(
        excerpt=secret(),
        metadata={secret(): secret()},
        fingerprint=secret(),
        content={
            "system_instruction": secret(),
            "config": {"stop_sequences": [secret()]},
            "tools": [{"function_declarations": [{"name": secret()}]}],
            "tool_config": {secret(): secret()},
            "response_text": secret(),
            "response_thoughts": secret(),
            "response_function_calls": [call],
            "failed_reason": secret(),
            "citations": [{"uri": f"https://example.com/{secret()}", "title": secret()}],
            "extra": {secret(): secret()},
        },
    )
    GenerationContent.objects.update(messages=[{"role": "user", "content": secret()}])
    conversation = Conversation.objects.create(
        title=secret(),
        system_instruction=secret(),
        model_name="gemini-x",
        tools=[{"function_declarations": [{"name": secret()}]}],
        tool_config={secret(): secret()},
        metadata={secret(): secret()},
    )
    Turn.objects.create(conversation=conversation, number=1, generation=generation)
    run = Run.objects.create(limit=3, metadata={secret(): secret()}, state=Run.State.WAITING)
    step = Step.objects.create(run=run, number=1, generation=generation)
    tool_call = ToolCall.objects.create(
        step=step, position=0, name="look_up", state="waiting", response={secret(): secret()}
    )
    media = Media.objects.create(
        kind="image", mime_type="image/png", size=9, sha256=secret(), path=secret()
    )
    generation.media.add(media)
    job = BulkJob.objects.create(verb="retry", until=NOW, due_at=NOW, query=f"q={secret()}")
    rows = (generation, conversation, run, tool_call, media, job)
    return {str(row._meta.model_name): row for row in rows}


@pytest.fixture
def rows() -> Row:
    return make_rows(Secrets())


@pytest.fixture
def client() -> Client:
    user = User.objects.create_user("staff", is_staff=True)
    ours = Permission.objects.filter(content_type__app_label=APP)
    user.user_permissions.set(ours.exclude(codename="view_content"))
    client = Client()
    client.force_login(user)
    return client


def admin_paths(rows: Row) -> Iterator[str]:
    """Yield each page of the admin that is read, with its lists as a popup and after a search."""
    words = {"form": ("csv", "jsonl"), "verb": ("retry", "cancel", "delete")}
    for model_admin in admin.site._registry.values():
        row = rows.get(str(model_admin.opts.model_name))
        if model_admin.opts.app_label != APP or row is None:
            continue
        for url in model_admin.get_urls():
            named = [name for name in url.pattern.converters if name in words]
            for word in words[named[0]] if named else ("",):
                keys = dict.fromkeys(url.pattern.converters, row.pk)
                given = {name: word if name in words else key for name, key in keys.items()}
                if url.name:
                    yield reverse(f"admin:{url.name}", kwargs=given)
    for model in rows:
        for query in ("?_popup=1", "?e=1", "?_to_field=id", "?q=secret&period=all"):
            yield f"/admin/{APP}/{model}/{query}"
    field = f"app_label={APP}&model_name=generation&field_name=retry_of"
    yield f"/admin/autocomplete/?{field}&term="
    yield f"/admin/{APP}/"
    yield "/admin/"


def rest_paths(rows: Row) -> Iterator[str]:
    yield from (f"{REST}{path}" for path in RESTS)
    for kind in ("generation", "conversation", "run", "media"):
        path = f"{REST}{kind if kind == 'media' else f'{kind}s'}/{rows[kind].pk}/"
        yield path
        yield f"{path}messages/"
        yield f"{path}stream/"


def text_of(response: Any) -> str:
    body = b"".join(response) if response.streaming else response.content
    return f"{response.headers} {body.decode(errors='replace')}"


@pytest.mark.parametrize("method", ["get", "options"])
@pytest.mark.parametrize("paths", [admin_paths, rest_paths])
def test_nothing_shows_content(
    client: Client, rows: Row, paths: Callable[[Row], Iterator[str]], method: str
) -> None:
    asked = list(paths(rows))
    shown = [path for path in asked if Secrets.found_in(text_of(getattr(client, method)(path)))]
    # The search repeats what was typed.
    assert [path for path in shown if "q=secret" not in path] == []
    assert len(asked) > 15


def test_what_is_looked_for_is_there(rows: Row) -> None:
    root = Client()
    root.force_login(User.objects.create_superuser("root"))
    for model, row in rows.items():
        page = f"/admin/{APP}/{model}/{row.pk}/change/"
        assert model == "run" or Secrets.found_in(text_of(root.get(page))), page
    assert Generation.objects.get().excerpt
