"""What Django shows of a bug in our code: pages in debug mode, mails to the site's admins else.

Neither may hold a key, a token or a prompt, though the frames behind the bug do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils.log import AdminEmailHandler
from urllib3.connectionpool import HTTPConnectionPool

from creatify_textgen import enqueue, lifecycle, services
from creatify_textgen.admin import history as history_admin
from creatify_textgen.admin.rendering import Budget
from creatify_textgen.dispatch.callbacks import make_token
from creatify_textgen.emulator import Emulator
from creatify_textgen.intake import acceptance
from creatify_textgen.rest.streaming import views as streaming_views
from creatify_textgen.services import media, submission
from tests.bad_requests import PNG
from tests.faults.sentinels import (
    GENERATIONS,
    PROMPT,
    assert_free_of_secrets,
    post,
    raise_bug,
    read,
    submit_and_send,
)

pytestmark = [
    pytest.mark.django_db(transaction=True),
    # Reports are mailed as hosts of Django 5.2 do; from 6.1 on that way is deprecated.
    pytest.mark.filterwarnings("ignore:Django 2028 will not have a default mailer"),
    pytest.mark.filterwarnings("ignore:Using .name, address. pairs in the ADMINS setting"),
]

HISTORY = "/admin/creatify_textgen/generation/"

Act = Callable[[Client, Any], Any]


def create(client: Client, _: Any) -> Any:
    return post(client, system_instruction=PROMPT, metadata={"note": PROMPT})


def create_and_wait(client: Client, _: Any) -> Any:
    return post(client, sync=True)


def begin_stream(client: Client, _: Any) -> Any:
    return post(client, f"{GENERATIONS}stream/")


def retry(client: Client, row: Any) -> Any:
    services.refresh(row)
    return client.post(f"{GENERATIONS}{row.pk}/retry/")


def act_on(verb: str, base: str = GENERATIONS) -> Act:
    return lambda client, row: client.post(f"{base}{row.pk}/{verb}/")


def show(path: str) -> Act:
    return lambda client, row: client.get(path.format(row.pk))


def deliver(client: Client, row: Any) -> Any:
    path = f"/textgen/webhooks/{row.pk}/{make_token(row.pk)}/"
    return client.post(path, f'{{"id": "{row.remote_id}"}}', content_type="application/json")


def upload(client: Client, _: Any) -> Any:
    return client.post("/textgen/media/", {"file": SimpleUploadedFile("a.png", PNG, "image/png")})


BUGS = [
    pytest.param(create, acceptance, "_find_uploads", id="create-while reading"),
    pytest.param(create, submission, "save_intent", id="create-while saving"),
    pytest.param(create, enqueue, "_publish", id="create-while publishing"),
    pytest.param(create_and_wait, HTTPConnectionPool, "urlopen", id="sync-below the keys"),
    pytest.param(create_and_wait, lifecycle, "mark_arrived", id="sync-while settling"),
    pytest.param(begin_stream, enqueue, "stream", id="stream-while publishing"),
    pytest.param(begin_stream, streaming_views, "first_frame", id="stream-while waiting"),
    pytest.param(show(f"{GENERATIONS}{{}}/stream/"), streaming_views, "_stream", id="attach"),
    pytest.param(act_on("refresh"), HTTPConnectionPool, "urlopen", id="refresh"),
    pytest.param(retry, submission, "save_intent", id="retry"),
    pytest.param(act_on("cancel"), lifecycle, "mark_cancelled", id="cancel"),
    pytest.param(show("/textgen/credits/"), HTTPConnectionPool, "urlopen", id="credits"),
    pytest.param(upload, media, "keep", id="upload"),
    pytest.param(deliver, lifecycle, "note_delivery", id="webhook"),
    pytest.param(show(f"{HISTORY}{{}}/change/"), history_admin, "read_detail", id="admin page"),
    pytest.param(show(f"{HISTORY}{{}}/change/"), Budget, "cut", id="admin page-with content"),
    pytest.param(act_on("refresh", HISTORY), HTTPConnectionPool, "urlopen", id="admin refresh"),
    pytest.param(act_on("cancel", HISTORY), lifecycle, "mark_cancelled", id="admin cancel"),
]


@pytest.fixture
def mails(settings: Any) -> Iterator[list[Any]]:
    """Give the mails of a site that wants them as full as Django can make them."""
    settings.ADMINS = [("Ada", "ada@example.com")]
    handler = AdminEmailHandler(include_html=True)
    handler.setLevel(logging.ERROR)
    loggers = [logging.getLogger(name) for name in ("", "django")]
    for logger in loggers:
        logger.addHandler(handler)
    yield mail.outbox
    for logger in loggers:
        logger.removeHandler(handler)


def all_of(mails: list[Any]) -> Iterator[str]:
    for one in mails:
        yield f"{one.subject} {one.body}"
        yield from (content for content, _ in one.alternatives)


@pytest.mark.parametrize("debug", [False, True], ids=["live", "debug"])
class TestReport:
    @pytest.mark.parametrize(("act", "place", "name"), BUGS)
    def test_of_a_request_hides_what_was_asked(
        self,
        sentinel_remote: Emulator,
        operator_client: Client,
        settings: Any,
        monkeypatch: pytest.MonkeyPatch,
        mails: list[Any],
        debug: bool,
        act: Act,
        place: Any,
        name: str,
    ) -> None:
        row = submit_and_send()
        settings.DEBUG = debug
        monkeypatch.setattr(place, name, raise_bug)
        response = act(operator_client, row)
        assert response.status_code == 500
        assert mails
        assert_free_of_secrets(read(response), *all_of(mails))

    @pytest.mark.parametrize("task", ["submit", "stream", "sweep", "reconcile"])
    def test_of_a_task_hides_keys_and_tokens(
        self,
        sentinel_remote: Emulator,
        host_celery: Celery,
        settings: Any,
        monkeypatch: pytest.MonkeyPatch,
        mails: list[Any],
        debug: bool,
        task: str,
    ) -> None:
        row = submit_and_send() if task == "sweep" else services.submit(PROMPT)
        settings.DEBUG = debug
        monkeypatch.setattr(HTTPConnectionPool, "urlopen", raise_bug)
        args = [str(row.pk)] if task in ("submit", "stream") else []
        host_celery.tasks[f"creatify_textgen.{task}"].apply(args=args, throw=False)
        assert_free_of_secrets(*all_of(mails))
