"""The playground: who may use it, what it sends, what it says, and how a generation fills it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from creatify_textgen import enqueue, services
from creatify_textgen.models import Generation, Media
from tests import factories
from tests.bad_requests import PNG

from .conftest import HISTORY, make_done, make_hostile, page_of

ADD = f"{HISTORY}add/"
JSON = {"Accept": "application/json"}
WEATHER = [{"function_declarations": [{"name": "get_weather"}]}]
SCHEMA = {"type": "object", "properties": {"title": {"type": "string"}}}


@pytest.fixture(autouse=True)
def _no_pump(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enqueue, "stream", lambda generation_id: None)


@pytest.fixture
def writer(staff_with: Callable[..., Client]) -> Client:
    return staff_with("add_generation", "view_generation", "view_content")


def fill(**fields: Any) -> dict[str, Any]:
    form = {"prompt": "Hello", "model_name": "gemini-2.5-flash", "account": "default"}
    return {**form, "ticket": "a-ticket", **fields}


@pytest.fixture(autouse=True)
def _models(settings: Any) -> None:
    names = ["gemini-2.5-flash", "gemini-2.5-pro"]
    settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "MODELS": names}


def send(client: Client, **fields: Any) -> Any:
    """Send the form as the script does, and return the JSON."""
    return client.post(ADD, fill(**fields), headers=JSON).json()


class TestPermission:
    def test_needs_that_of_the_setting_too(self, writer: Client, settings: Any) -> None:
        permission = "auth.change_user"
        settings.CREATIFY_TEXTGEN = {
            **settings.CREATIFY_TEXTGEN,
            "CREATE_PERMISSION": permission,
        }
        assert writer.post(ADD, fill()).status_code == 403
        assert b"Playground" not in writer.get("/admin/creatify_textgen/").content
        code = permission.partition(".")[2]
        User.objects.get().user_permissions.add(Permission.objects.get(codename=code))
        assert writer.get(ADD).status_code == 200

    def test_is_one_click_from_the_index(self, writer: Client) -> None:
        for page in ("/admin/", "/admin/creatify_textgen/", HISTORY):
            assert ADD in writer.get(page).content.decode()

    def test_says_nothing_of_others_generations(self, writer: Client) -> None:
        path = page_of(make_done(), action="outcome")
        assert writer.get(path).status_code == 404


class TestSend:
    def test_streams_from_the_rest_api_with_a_ticket(self, writer: Client) -> None:
        [column] = send(writer)["columns"]
        row = Generation.objects.get()
        assert (row.mode, row.owner, row.excerpt) == ("stream", User.objects.get(), "Hello")
        assert column["page"] == page_of(row)
        # The ticket is enough where the REST API knows no sessions.
        assert Client().get(column["stream"]).status_code == 200

    def test_asks_two_models(self, writer: Client) -> None:
        columns = send(writer, compare_with="gemini-2.5-pro")["columns"]
        assert [one["model"] for one in columns] == ["gemini-2.5-flash", "gemini-2.5-pro"]
        assert Generation.objects.count() == 2

    def test_pays_once_for_a_form_that_is_sent_twice(self, writer: Client) -> None:
        first, second = send(writer), send(writer)
        assert first["columns"][0]["page"] == second["columns"][0]["page"]
        assert first["ticket"] != second["ticket"]
        assert Generation.objects.count() == 1

    def test_sends_every_field(self, writer: Client) -> None:
        earlier = [{"role": "user", "content": "Hi"}, {"role": "model", "content": "Hello!"}]
        send(
            writer,
            system_instruction="Be short.",
            temperature="0.5",
            top_p="0.9",
            max_output_tokens="64",
            config='{"seed": 7}',
            schema=json.dumps(SCHEMA),
            tools=json.dumps(WEATHER),
            tool_config='{"function_calling_config": {"mode": "NONE"}}',
            earlier=json.dumps(earlier),
            uploads=SimpleUploadedFile("a.png", PNG, "image/png"),
        )
        content = Generation.objects.get().content
        parts = content.messages[2]["content"]
        assert content.messages[:2] == earlier
        assert [part["type"] for part in parts] == ["image", "text"]
        assert content.system_instruction == "Be short."
        assert content.config == {
            "temperature": 0.5,
            "top_p": 0.9,
            "max_output_tokens": 64,
            "seed": 7,
            "response_mime_type": "application/json",
            "response_json_schema": SCHEMA,
        }
        assert content.tools[0]["function_declarations"][0]["name"] == "get_weather"
        assert content.tool_config == {"function_calling_config": {"mode": "NONE"}}

    def test_queues_it_and_shows_its_row_without_the_script(self, writer: Client) -> None:
        response = writer.post(ADD, fill(), follow=True)
        row = Generation.objects.get()
        assert row.mode == "async"
        assert response.redirect_chain == [(page_of(row), 302)]
        assert b"was queued" in response.content

    def test_stays_on_the_page_if_the_row_may_not_be_seen(
        self, staff_with: Callable[..., Client]
    ) -> None:
        response = staff_with("add_generation").post(ADD, fill(), follow=True)
        assert response.redirect_chain == [(ADD, 302)]


class TestRefusal:
    @pytest.mark.parametrize(
        ("fields", "name"),
        [
            ({"prompt": ""}, "prompt"),
            ({"temperature": "9"}, "temperature"),
            ({"config": '{"top_k": "many"}'}, "config"),
            ({"config": "[]"}, "config"),
            ({"config": "{"}, "config"),
            ({"tools": '[{"function_declarations": 1}]'}, "tools"),
            ({"tools": "[" * 100_000}, "tools"),
            ({"earlier": "9" * 5000}, "earlier"),
            ({"earlier": '["Hello"]'}, "earlier"),
            ({"schema": '{"not": {}}'}, "schema"),
            ({"uploads": SimpleUploadedFile("a.txt", b"no", "text/plain")}, "uploads"),
            ({"model_name": "no-such-model"}, "model_name"),
            ({"prompt": "a\0b"}, "prompt"),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("headers", [JSON, {}], ids=["script", "plain"])
    def test_is_shown_beside_its_field(
        self, writer: Client, fields: dict[str, Any], name: str, headers: dict[str, str]
    ) -> None:
        for value in fields.values():
            if isinstance(value, SimpleUploadedFile):
                value.seek(0)
        response = writer.post(ADD, fill(**fields), headers=headers)
        errors = response.json()["errors"] if headers else response.context["form"].errors
        assert list(errors) == [name]
        assert Generation.objects.count() == 0

    def test_gives_another_ticket(self, writer: Client) -> None:
        response = writer.post(ADD, fill(prompt=""))
        assert 'name="ticket" value="a-ticket"' not in response.content.decode()

    def test_is_that_of_every_door(self, writer: Client) -> None:
        services.pause_sending()
        errors = send(writer, compare_with="gemini-2.5-pro")["errors"]
        assert len(errors["__all__"]) == 1
        assert "is paused" in errors["__all__"][0]

    def test_of_one_model_leaves_the_other(self, writer: Client, settings: Any) -> None:
        limits = {"models": ["gemini-2.5-flash"]}
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "LIMITS": limits}
        allowed, refused = send(writer, compare_with="gemini-2.5-pro")["columns"]
        assert allowed["stream"]
        assert (refused["model"], "stream" in refused) == ("gemini-2.5-pro", False)
        assert "gemini-2.5-flash" in refused["refusal"]


class TestEditAndTry:
    def test_is_offered_to_who_may(self, staff_with: Callable[..., Client]) -> None:
        row = make_done()
        link = f"{ADD}?from={row.pk}"
        rights = {"add_generation", "view_generation", "view_content"}
        for lacking in ("", "add_generation", "view_content"):
            client = staff_with(*(rights - {lacking}))
            assert (link in client.get(page_of(row)).content.decode()) == (not lacking)
            assert client.get(link).status_code == (403 if lacking else 200)

    @pytest.mark.parametrize("key", ["x", "00000000-0000-0000-0000-000000000000"])
    def test_finds_nothing_under_another_id(self, writer: Client, key: str) -> None:
        assert writer.get(f"{ADD}?from={key}").status_code == 404

    def test_sends_the_same_request(self, writer: Client) -> None:
        send(
            writer,
            system_instruction="Be short.",
            temperature="0.5",
            config='{"seed": 7}',
            schema=json.dumps(SCHEMA),
            tools=json.dumps(WEATHER),
            earlier='[{"role": "user", "content": "Hi"}, {"role": "model", "content": "Ho"}]',
            uploads=SimpleUploadedFile("a.png", PNG, "image/png"),
        )
        first = Generation.objects.get()
        path = f"{ADD}?from={first.pk}"
        form = writer.get(path).context["form"]
        values = {field.name: field.value() for field in form}
        asked = {name: value for name, value in values.items() if value not in (None, "")}
        second = writer.post(path, {**asked, "ticket": "another"}, headers=JSON).json()
        row = Generation.objects.exclude(pk=first.pk).get()
        assert second["columns"][0]["page"] == page_of(row)
        assert row.content.request_fields() == first.content.request_fields()

    @pytest.mark.parametrize("is_mine", [True, False], ids=["mine", "theirs"])
    def test_keeps_the_order_of_images(self, writer: Client, *, is_mine: bool) -> None:
        owner = User.objects.get() if is_mine else User.objects.create_user("ada")
        # Each a different file, and not in the order in which they are asked for.
        images = [
            services.store_media(PNG + bytes(width), owner=owner, mime_type="image/png")
            for width in (1, 2, 3, 4)
        ]
        asked = [images[place] for place in (2, 0, 3, 1)]
        parts = [{"type": "image", "media": str(one.pk)} for one in asked]
        content = [*parts, {"type": "text", "text": "Which is first?"}]
        first = services.submit([{"role": "user", "content": content}], owner=owner)
        path = f"{ADD}?from={first.pk}"
        form = writer.get(path).context["form"]
        assert form["kept_media"].value() == [str(one.pk) for one in asked]
        kept = [str(one.pk) for one in images]
        writer.post(path, fill(prompt="Again?", kept_media=kept), headers=JSON)
        sent = Generation.objects.exclude(pk=first.pk).get().content.messages[-1]["content"][:-1]
        hashes = {str(one.pk): one.sha256 for one in Media.objects.all()}
        assert [hashes[part["media"]] for part in sent] == [one.sha256 for one in asked]

    def test_keeps_an_image_that_is_there_twice(self, writer: Client) -> None:
        owner = User.objects.get()
        one, other = (
            services.store_media(PNG + bytes(width), owner=owner, mime_type="image/png")
            for width in (1, 2)
        )
        parts = [{"type": "image", "media": str(key.pk)} for key in (one, other, one)]
        first = services.submit([{"role": "user", "content": parts}], owner=owner)
        path = f"{ADD}?from={first.pk}"
        values = {field.name: field.value() for field in writer.get(path).context["form"]}
        asked = {name: value for name, value in values.items() if value not in (None, "")}
        writer.post(path, {**asked, "ticket": "another"}, headers=JSON)
        second = Generation.objects.exclude(pk=first.pk).get()
        assert second.content.request_fields() == first.content.request_fields()

    def test_copies_the_images_of_others(self, writer: Client) -> None:
        ada = User.objects.create_user("ada")
        image = services.store_media(PNG, owner=ada, mime_type="image/png")
        part = {"type": "image", "media": str(image.pk)}
        content = [part, {"type": "text", "text": "What is it?"}]
        theirs = services.submit([{"role": "user", "content": content}], owner=ada)
        path = f"{ADD}?from={theirs.pk}"
        assert b"are copied for you" in writer.get(path).content
        sent = fill(prompt="And now?", kept_media=[str(image.pk)])
        writer.post(path, sent, headers=JSON)
        mine = Media.objects.exclude(owner=ada).get()
        assert mine.sha256 == image.sha256
        assert Generation.objects.get(owner=mine.owner).media.get() == mine

    def test_shows_any_stored_text(self, writer: Client) -> None:
        page = writer.get(f"{ADD}?from={make_hostile().pk}").content.decode()
        assert "<script>alert" not in page


class TestOutcome:
    def test_says_how_it_ended(self, writer: Client) -> None:
        owner = User.objects.get()
        row = make_done(owner=owner, mode="stream", content={"failed_reason": "too long"})
        row.events.create(at=factories.NOW, status="running", cause="stream")
        answer = writer.get(page_of(row, action="outcome"))
        assert "no-store" in answer.headers["Cache-Control"]
        body = answer.json()
        assert body["line"] == (
            "done after 1 min 0 s; first text after 1 min 0 s; cost: 0.0005 credits; too long"
        )
        assert (body["is_final"], body["is_settled"]) == (True, True)
        assert body["text"] == "Good day."

    def test_waits_for_the_cost(self, writer: Client) -> None:
        row = make_done(owner=User.objects.get(), credits_used=None)
        body = writer.get(page_of(row, action="outcome")).json()
        assert (body["is_final"], body["is_settled"]) == (True, False)


class TestPage:
    def test_says_what_each_model_costs(self, writer: Client) -> None:
        make_done(model_name="gemini-2.5-flash")
        page = writer.get(ADD).content.decode()
        assert "gemini-2.5-flash mostly costs 0.0005 credits" in page
        assert "The cost of gemini-2.5-pro on this site is not known yet." in page

    @pytest.mark.urls("tests.integration.admin.urls")
    def test_works_without_the_urls_of_the_api(self, writer: Client) -> None:
        page = writer.get(ADD).content.decode()
        assert "playground.js" not in page
        assert "do not include the REST API" in page
