"""Fields that this app does not know: merged last, part of the request, and never by accident."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from creatify_textgen import enqueue, services
from creatify_textgen.emulator import Emulator
from creatify_textgen.exceptions import RequestError
from creatify_textgen.models import Generation

pytestmark = pytest.mark.django_db(transaction=True)

EXTRA = {"config": {"thinking_config": {"level": "low"}}, "priority": "high"}


@pytest.fixture(autouse=True)
def remote(creatify_emulator: Emulator, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    account = {"API_ID": "id", "API_KEY": "key", "BASE_URL": creatify_emulator.url}
    settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": account}, "POLL_INTERVAL": 0.01}
    creatify_emulator.switches.set(pending_seconds=0, running_seconds=0, chunk_interval=0)
    for task in ("submit", "stream"):
        monkeypatch.setattr(enqueue, task, lambda generation_id: None)
    return creatify_emulator


@pytest.fixture
def passing(settings: Any) -> None:
    settings.CREATIFY_TEXTGEN = settings.CREATIFY_TEXTGEN | {"EXTRA_CONFIG": "pass"}


def sent(remote: Emulator) -> dict[str, Any]:
    bodies = [record.body for record in remote.requests if record.method == "POST"]
    body: dict[str, Any] = bodies[-1]
    return body


def stream(messages: str, **options: Any) -> None:
    services.pump_stream(services.begin_stream(messages, **options).pk)


def submit(messages: str, **options: Any) -> None:
    services.send_generation(services.submit(messages, **options).pk)


def submit_many(messages: str, **options: Any) -> None:
    [row] = services.submit_many([{"messages": messages, **options}])
    services.send_generation(row.pk)


VERBS = pytest.mark.parametrize("verb", [services.generate, submit, submit_many, stream])


class TestExtra:
    @VERBS
    def test_is_merged_last(self, verb: Any, remote: Emulator) -> None:
        verb("Hello", config={"temperature": 0.5}, extra=EXTRA)
        body = sent(remote)
        assert body["priority"] == "high"
        assert body["config"] == {"temperature": 0.5, "thinking_config": {"level": "low"}}
        assert Generation.objects.get().content.extra == EXTRA

    def test_is_part_of_the_request(self) -> None:
        services.submit("Hello", extra=EXTRA, idempotency_key="k")
        assert services.submit("Hello", extra=EXTRA, idempotency_key="k")
        with pytest.raises(RequestError) as refused:
            services.submit("Hello", idempotency_key="k")
        assert refused.value.code == "idempotency_conflict"

    def test_comes_along_in_a_retry(self, remote: Emulator) -> None:
        remote.switches.set(final_state="failed")
        row = services.generate("Hello", extra=EXTRA)
        assert services.retry(row).content.extra == EXTRA

    @pytest.mark.parametrize(
        ("extra", "path"),
        [
            ({"messages": []}, "extra.messages"),
            ({"webhook_url": "https://x.example"}, "extra.webhook_url"),
            ({"sync": True}, "extra.sync"),
            ({"config": {"temperature": 9}}, "extra.config.temperature"),
            ({"config": {"maxOutputTokens": 9}}, "extra.config.maxOutputTokens"),
            ({"config": {"TEMPERATURE": 1}}, "extra.config.TEMPERATURE"),
            ({"modelName": "x"}, "extra.modelName"),
            ({"webhookUrl": "https://x.example"}, "extra.webhookUrl"),
            ({"Config": {"temperature": 1}}, "extra.Config"),
            ({"config": 3}, "extra.config"),
            ([], "extra"),
        ],
    )
    def test_replaces_nothing_that_is_checked(self, extra: Any, path: str) -> None:
        with pytest.raises(RequestError) as refused:
            services.submit("Hello", extra=extra)
        assert list(refused.value.errors) == [path]
        assert not Generation.objects.exists()


class TestUnknownConfig:
    def test_is_refused_by_default(self) -> None:
        with pytest.raises(RequestError) as refused:
            services.submit("Hello", config={"thinking_config": {}})
        assert list(refused.value.errors) == ["config.thinking_config"]

    @pytest.mark.usefixtures("passing")
    @VERBS
    def test_passes_if_the_site_says_so(self, verb: Any, remote: Emulator) -> None:
        verb("Hello", config={"temperature": 0.5, "thinking_config": {"level": "low"}})
        assert sent(remote)["config"] == {"temperature": 0.5, "thinking_config": {"level": "low"}}
        content = Generation.objects.get().content
        assert content.config == {"temperature": 0.5}

    @pytest.mark.usefixtures("passing")
    @pytest.mark.parametrize("name", ["maxOutputTokens", "Max_Output_Tokens", "max-output-tokens"])
    def test_passes_no_limit_by_another_spelling(self, settings: Any, name: str) -> None:
        settings.CREATIFY_TEXTGEN |= {"LIMITS": {"max_output_tokens": 10}}
        owner = User.objects.create_user("user")
        config = {"max_output_tokens": 10, name: 8192}
        with pytest.raises(RequestError) as refused:
            services.submit("Hello", config=config, owner=owner)
        assert refused.value.errors == {f"config.{name}": ["Pass it as config.max_output_tokens."]}

    @pytest.mark.usefixtures("passing")
    def test_is_checked_for_what_no_column_holds(self) -> None:
        with pytest.raises(RequestError):
            services.submit("Hello", config={"new": float("nan")})


class TestRest:
    def test_takes_extra_only_if_the_site_says_so(
        self, settings: Any, passing: None, remote: Emulator
    ) -> None:
        api = APIClient()
        api.force_authenticate(User.objects.create_user("ada"))
        body = {"messages": "Hello", "sync": True, "extra": EXTRA}
        assert api.post("/textgen/generations/", body, format="json").status_code == 201
        assert sent(remote)["priority"] == "high"
        settings.CREATIFY_TEXTGEN = settings.CREATIFY_TEXTGEN | {"EXTRA_CONFIG": "refuse"}
        refused = api.post("/textgen/generations/", body, format="json")
        assert (refused.status_code, list(refused.json()["errors"])) == (400, ["extra"])
