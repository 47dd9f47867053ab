"""No key, token or prompt where none belongs: logs, exceptions, broker, pages, reprs.

Each journey is driven through its successes, refusals and bugs; then every place where somebody
may read along is searched for the site's own secrets.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from traceback import walk_tb
from typing import Any

import pytest
from celery import Celery
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError
from django.test import Client
from urllib3.connection import HTTPConnection

from creatify_textgen import gateway, lifecycle, services
from creatify_textgen.conf import conf
from creatify_textgen.dispatch.callbacks import make_token, webhook_url
from creatify_textgen.dispatch.sending import prepare_send
from creatify_textgen.dispatch.snapshots import Snapshot
from creatify_textgen.dispatch.wire import wire_request
from creatify_textgen.emulator import Emulator
from creatify_textgen.exceptions import PolicyRefusal, TextgenError
from creatify_textgen.intake import accept
from creatify_textgen.lifecycle import Outcome
from creatify_textgen.lifecycle.marks import Arrival
from creatify_textgen.lifecycle.moves import Move
from creatify_textgen.models import Generation
from creatify_textgen.recovery.polling import Poll
from creatify_textgen.remote import Credentials, RemoteClient, parse_chunk, parse_generation
from tests.faults.sentinels import (
    API_ID,
    API_KEY,
    GENERATIONS,
    PROMPT,
    BugError,
    assert_free_of_secrets,
    echoing_remote,
    point_to,
    post,
    raise_bug,
    read,
    submit_and_send,
)

pytestmark = pytest.mark.django_db(transaction=True)

HISTORY = "/admin/creatify_textgen/generation/"
REFUSALS = ("400", "401", "402", "404", "429", "500", "502", "503")


class TestLogs:
    def test_of_a_whole_life(
        self, sentinel_remote: Emulator, operator_client: Client, received: list[str]
    ) -> None:
        generation = submit_and_send()
        path = f"/textgen/webhooks/{generation.pk}/{make_token(generation.pk)}/"
        body = json.dumps({"id": generation.remote_id, "status": "done", "response_text": PROMPT})
        operator_client.post(path, body, content_type="application/json")
        services.sweep()
        services.refresh(generation)
        services.reconcile(fix=True)
        services.credits()
        assert received
        assert_free_of_secrets(*received)

    @pytest.mark.parametrize("status", REFUSALS)
    def test_of_refusals(
        self, sentinel_remote: Emulator, received: list[str], status: str, settings: Any
    ) -> None:
        sentinel_remote.switches.set(error_at_create=status, retry_after_seconds=0)
        submit_and_send()
        # Without credits the account is paused, and the second request is refused here.
        with suppress(PolicyRefusal), services.stream(PROMPT) as stream:
            list(stream)
        assert_free_of_secrets(*received)

    @pytest.mark.parametrize("status", [200, 201, 302, 400, 401, 404, 418, 429, 500, 503])
    def test_of_a_remote_that_echoes_all_it_was_sent(
        self, settings: Any, received: list[str], status: int
    ) -> None:
        with echoing_remote(status, settings=settings):
            submit_and_send()
            services.sweep()
            services.credits()
            with services.stream(PROMPT) as stream:
                list(stream)
        assert_free_of_secrets(*received)

    @pytest.mark.parametrize("fault", ["reset_before_accept", "reset_after_accept"])
    def test_of_lost_connections(
        self, sentinel_remote: Emulator, received: list[str], fault: str
    ) -> None:
        sentinel_remote.switches.set(**{fault: True})
        submit_and_send()
        assert_free_of_secrets(*received)

    @pytest.mark.parametrize("fault", ["error_event", "cut_mid_event", "raw_json_tail", "silence"])
    def test_of_broken_streams(
        self, sentinel_remote: Emulator, received: list[str], fault: str, settings: Any
    ) -> None:
        timeouts = {"stream_idle": 0.3}
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "TIMEOUTS": timeouts}
        sentinel_remote.switches.set(stream_fault=fault)
        with services.stream(PROMPT) as stream:
            list(stream)
        assert_free_of_secrets(*received)

    @pytest.mark.parametrize(
        "account",
        [
            pytest.param({"API_KEY": f"{API_KEY}\n"}, id="key no header may carry"),
            pytest.param({"API_ID": ""}, id="no id"),
            pytest.param({"BASE_URL": f"http://{API_ID}:{API_KEY}@127.0.0.1:9"}, id="keys in URL"),
            pytest.param({"BASE_URL": "http://127.0.0.1:9"}, id="nobody there"),
            pytest.param({"API_KEY": raise_bug}, id="a callable that fails"),
        ],
    )
    def test_of_wrong_settings(
        self, settings: Any, operator_client: Client, received: list[str], account: dict[str, Any]
    ) -> None:
        point_to("http://127.0.0.1:9", settings=settings, TIMEOUTS={"sync": 1})
        settings.CREATIFY_TEXTGEN["ACCOUNTS"]["default"].update(account)
        post(operator_client)
        post(operator_client, sync=True)
        for generation_id in Generation.objects.values_list("pk", flat=True):
            operator_client.post(f"{GENERATIONS}{generation_id}/refresh/")
        assert_free_of_secrets(*received)

    @pytest.mark.parametrize("error", [DatabaseError("gone"), RuntimeError("a bug")], ids=repr)
    @pytest.mark.parametrize("body", ['{"id": "x"}', f'{{"{PROMPT}', f'"{PROMPT}"'])
    def test_of_deliveries(
        self,
        operator_client: Client,
        received: list[str],
        monkeypatch: pytest.MonkeyPatch,
        error: Exception,
        body: str,
    ) -> None:
        def fail(*args: Any, **kwargs: Any) -> None:
            raise error

        generation = services.submit(PROMPT)
        path = f"/textgen/webhooks/{generation.pk}/{make_token(generation.pk)}/"
        monkeypatch.setattr(lifecycle, "note_delivery", fail)
        for method in ("POST", "GET", "PUT", "DELETE"):
            operator_client.generic(method, path, body, "application/json")
        assert_free_of_secrets(*received)

    def test_of_bodies_that_are_refused(self, operator_client: Client, received: list[str]) -> None:
        for content in (PROMPT, {"text": PROMPT}, [{"type": PROMPT}], [PROMPT]):
            response = post(operator_client, messages=[{"role": PROMPT, "content": content}])
            assert response.status_code == 400
        operator_client.post(GENERATIONS, f'{{"{PROMPT}', content_type="application/json")
        assert_free_of_secrets(*received)

    @pytest.mark.parametrize("task", ["submit", "stream", "sweep", "reconcile"])
    def test_of_tasks_that_fail(
        self,
        sentinel_remote: Emulator,
        host_celery: Celery,
        received: list[str],
        monkeypatch: pytest.MonkeyPatch,
        task: str,
    ) -> None:
        generation = services.submit(PROMPT)
        monkeypatch.setattr(RemoteClient, "_exchange", raise_bug)
        args = [str(generation.pk)] if task in ("submit", "stream") else []
        result = host_celery.tasks[f"creatify_textgen.{task}"].apply(args=args, throw=False)
        said = f"{result!r} {result.result!r} {result.traceback} {result.args!r} {result.kwargs!r}"
        assert_free_of_secrets(said, *received)


class TestExceptions:
    @pytest.mark.parametrize("call", ["create", "stream", "get", "list", "remaining_credits"])
    @pytest.mark.parametrize("status", [200, 302, 400, 401, 404, 418, 429, 500, 503])
    def test_carry_nothing_however_one_looks(self, settings: Any, status: int, call: str) -> None:
        with echoing_remote(status, settings=settings):
            client = gateway.client_for("default")
            with pytest.raises(TextgenError) as caught:
                consume(getattr(client, call)(*arguments_of(call)))
        assert PROMPT not in str(caught.value)
        # What a stream says is its reader's, so its frames hold what came in.
        texts = [said(caught.value)] if (call, status) == ("stream", 200) else all_of(caught.value)
        assert_free_of_secrets(*texts, prompt_is_fine=True)

    @pytest.mark.parametrize("value", ["\n", " ", "\x00", "é"])
    def test_of_a_key_that_no_header_may_carry(self, settings: Any, value: str) -> None:
        point_to("http://127.0.0.1:9", settings=settings)
        settings.CREATIFY_TEXTGEN["ACCOUNTS"]["default"]["API_KEY"] = API_KEY + value
        with pytest.raises(ValueError, match="API key") as caught:
            gateway.client_for("default")
        assert_free_of_secrets(*all_of(caught.value))

    def test_of_bugs_below_the_keys(
        self, sentinel_remote: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(HTTPConnection, "request", raise_bug)
        with pytest.raises(BugError) as caught:
            submit_and_send()
        assert_free_of_secrets(*all_of(caught.value), prompt_is_fine=True)

    def test_of_a_receiver_that_is_not_mounted(self, settings: Any) -> None:
        point_to("http://127.0.0.1:9", settings=settings)
        settings.ROOT_URLCONF = "tests.integration.no_urls"
        with pytest.raises(ImproperlyConfigured, match="do not include") as caught:
            webhook_url(services.submit(PROMPT))
        assert_free_of_secrets(str(caught.value), repr(caught.value))

    def test_of_a_callable_that_cannot_get_the_key(self, settings: Any) -> None:
        point_to("http://127.0.0.1:9", settings=settings)
        settings.CREATIFY_TEXTGEN["ACCOUNTS"]["default"]["API_KEY"] = raise_bug
        with pytest.raises(ImproperlyConfigured, match="BugError") as caught:
            conf.account("default")
        assert_free_of_secrets(*all_of(caught.value))


class TestBroker:
    def test_is_told_ids_alone(
        self, sentinel_remote: Emulator, host_celery: Celery, settings: Any
    ) -> None:
        queue = f"sentinel-{uuid.uuid4()}"
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "CELERY_QUEUE": queue}
        services.submit(PROMPT, metadata={"note": PROMPT}, idempotency_key=PROMPT)
        services.submit_many([{"messages": PROMPT}])
        services.retry(services.refresh(submit_and_send()))
        messages = list(drain(host_celery, queue))
        assert messages
        assert_free_of_secrets(*messages)


class TestAdmin:
    @pytest.mark.parametrize(
        "page", ["", "credits/", "{}/change/", "{}/history/", "{}/retry/", "?q=sentinel"]
    )
    def test_shows_no_keys_and_no_tokens(
        self, sentinel_remote: Emulator, operator_client: Client, page: str
    ) -> None:
        generation = submit_and_send()
        response = operator_client.get(HISTORY + page.format(generation.pk), follow=True)
        assert response.status_code == 200
        assert_free_of_secrets(read(response), prompt_is_fine=True)

    @pytest.mark.parametrize("page", ["", "credits/", "{}/change/", "{}/retry/", "?q=sentinel"])
    def test_shows_prompts_only_to_those_who_may_read_them(
        self, sentinel_remote: Emulator, operator_client: Client, page: str
    ) -> None:
        generation = submit_and_send()
        user: Any = operator_client.get(HISTORY).wsgi_request.user
        user.user_permissions.remove(
            *user.user_permissions.filter(codename__in=["view_content", "view_media"])
        )
        response = operator_client.get(HISTORY + page.format(generation.pk), follow=True)
        assert response.status_code == 200
        assert_free_of_secrets(read(response))


class TestReprs:
    @pytest.mark.parametrize("kind", ["repr", "str", "format"])
    def test_hide_keys_tokens_and_what_was_said(self, settings: Any, kind: str) -> None:
        point_to("http://127.0.0.1:9", settings=settings)
        show: Callable[[Any], str] = {"repr": repr, "str": str, "format": "{}".format}[kind]
        values = list(public_values())
        assert_free_of_secrets(*map(show, values))


def public_values() -> Iterator[Any]:
    """Everything that a host or one of our frames may hold, full of sentinels."""
    generation = services.submit(PROMPT, system_instruction=PROMPT, metadata={"note": PROMPT})
    said = {"response_text": PROMPT, "messages": [{"role": "user", "content": PROMPT}]}
    remote = parse_generation(json.dumps({"id": "a", "status": "done", **said}).encode())
    outcome = Outcome(response_text=PROMPT, response_thoughts=PROMPT, failed_reason=PROMPT)
    chunk = {"candidates": [{"content": {"parts": [{"text": PROMPT}]}}]}
    yield from (generation, generation.content, *generation.events.all())
    yield from (conf.account("default"), Credentials(API_ID, API_KEY, "https://x"))
    yield gateway.client_for("default")
    yield accept(PROMPT, system_instruction=PROMPT, metadata={"note": PROMPT})
    yield wire_request(generation, generation.content, webhook_url=webhook_url(generation))
    yield prepare_send(generation)
    yield Snapshot(generation, remote)
    yield Poll("default", [generation], "a", remote)
    yield Poll("default", [generation], "", [remote])
    yield Arrival(outcome)
    yield Move(generation.pk, outcome.row_fields(), outcome.content_fields())
    yield from (remote, outcome, parse_chunk(json.dumps(chunk)))
    yield services.GenerationStream(generation)
    yield services.AsyncGenerationStream(generation)


def arguments_of(call: str) -> list[Any]:
    if call == "get":
        return ["some-id"]
    if call in ("list", "remaining_credits"):
        return []
    generation = services.submit(PROMPT)
    url = webhook_url(generation)
    return [wire_request(generation, generation.content, webhook_url=url)]


def consume(answer: Any) -> None:
    """Read what arrives only when it is asked for."""
    if isinstance(answer, Iterable):
        list(answer)


def said(error: BaseException) -> str:
    notes = getattr(error, "__notes__", "")
    return f"{error} {error!r} {error.args!r} {vars(error)!r} {notes}"


def all_of(error: BaseException) -> Iterator[str]:
    """Yield every text that a reporter could get out of an error: chain, fields, frames."""
    seen: set[int] = set()
    chain: list[BaseException | None] = [error]
    while chain:
        link = chain.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        yield said(link)
        yield from frames_of(link)
        chain += [link.__cause__, link.__context__]


def frames_of(error: BaseException) -> Iterator[str]:
    for frame, _line in walk_tb(error.__traceback__):
        # A test's own frame knows the secrets.
        if "/tests/" not in frame.f_code.co_filename:
            yield f"{frame.f_code.co_qualname} {frame.f_locals!r}"


def drain(app: Celery, queue: str) -> Iterator[str]:
    """Yield all that stands in a queue: bodies, headers, properties."""
    with app.connection_for_read() as connection, connection.SimpleQueue(queue) as simple:
        while simple.qsize():
            message = simple.get(block=False)
            message.ack()
            yield f"{message.body!r} {message.headers!r} {message.properties!r}"
