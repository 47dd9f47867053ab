"""Requests with media: staged, stored once, referenced, and sent from the storage."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from creatify_textgen.dispatch.wire import wire_request
from creatify_textgen.exceptions import RequestError, TextgenError
from creatify_textgen.intake import accept, media_digests, read_body
from creatify_textgen.models import Generation, GenerationContent, Media
from creatify_textgen.remote.contract import MediaSource
from creatify_textgen.services import store_media
from tests.bad_requests import BAD_REFERENCES, PNG, PNG_TEXT, BadRequest

pytestmark = pytest.mark.django_db

MP4 = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"


@pytest.fixture(autouse=True)
def empty_storage(settings: Any) -> None:
    # Set again, so that the storage in memory begins empty.
    settings.STORAGES = dict(settings.STORAGES)


@pytest.fixture
def ada() -> User:
    return User.objects.create(username="ada")


@pytest.fixture
def ben() -> User:
    return User.objects.create(username="ben")


def asking(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [*parts, {"type": "text", "text": "What is it?"}]}]


def image(**fields: Any) -> dict[str, Any]:
    return {"type": "image", **fields}


def saved(messages: Any, **fields: Any) -> tuple[Generation, GenerationContent]:
    intake = accept(messages, **fields)
    content = GenerationContent(
        messages=intake.messages,
        system_instruction=intake.system_instruction,
        config=intake.config,
        tools=intake.tools,
        tool_config=intake.tool_config,
    )
    return Generation(model_name=intake.model_name), content


class TestAcceptMedia:
    def test_leaves_a_reference_in_place_of_the_bytes(self, ada: User) -> None:
        intake = accept(asking(image(mime_type="image/png", data=PNG_TEXT)), owner=ada)
        [media] = intake.media
        assert intake.messages[0]["content"][0] == {
            "type": "image",
            "mime_type": "image/png",
            "media": str(media.pk),
            "sha256": media.sha256,
        }
        assert media.owner == ada
        assert intake.excerpt == "What is it?"
        assert media_digests(intake.messages) == [media.sha256]

    def test_takes_every_kind_of_data(self, tmp_path: Path) -> None:
        (tmp_path / "image.png").write_bytes(PNG)
        sources = [PNG, bytearray(PNG), memoryview(PNG), ContentFile(PNG), tmp_path / "image.png"]
        intake = accept(asking(*(image(data=source) for source in sources)))
        assert len({part["media"] for part in intake.messages[0]["content"][:-1]}) == 1
        assert len(intake.media) == Media.objects.count() == 1

    def test_takes_an_upload_by_id_row_or_text(
        self, ada: User, django_assert_num_queries: Any
    ) -> None:
        upload = store_media(PNG, owner=ada)
        parts = [image(media=upload), image(media=upload.pk), image(media=str(upload.pk))]
        with django_assert_num_queries(1):
            intake = accept(asking(*parts), owner=ada)
        assert intake.media == [upload]
        assert intake.messages[0]["content"][2]["sha256"] == upload.sha256

    def test_takes_its_own_result_again(self, ada: User) -> None:
        first = accept(asking(image(data=PNG), {"type": "video", "data": MP4}), owner=ada)
        again = accept(first.messages, owner=ada)
        assert again == first

    def test_costs_no_query_without_media(self, django_assert_num_queries: Any) -> None:
        with django_assert_num_queries(0):
            accept("Hello")

    def test_hashes_an_upload_and_its_bytes_alike(self, ada: User) -> None:
        upload = store_media(PNG, owner=ada)
        by_id = accept(asking(image(media=str(upload.pk))), owner=ada)
        by_bytes = accept(asking(image(data=PNG)), owner=ada)
        assert by_id.request_hash == by_bytes.request_hash
        assert by_id.fingerprint == by_bytes.fingerprint


class TestRefuseMedia:
    @pytest.mark.parametrize("wrong", BAD_REFERENCES, ids=lambda wrong: wrong.id)
    def test_names_the_field_and_the_rule(self, wrong: BadRequest) -> None:
        with pytest.raises(RequestError) as caught:
            accept(**read_body(wrong.body))
        assert list(caught.value.errors) == [wrong.field]
        assert wrong.rule in caught.value.errors[wrong.field][0]

    def test_finds_nobody_else_s_upload(self, ada: User, ben: User) -> None:
        own, shared = store_media(PNG, owner=ada), store_media(PNG)
        for upload, user in [(own, ben), (own, None), (shared, ada)]:
            with pytest.raises(RequestError, match="of the same owner"):
                accept(asking(image(media=upload)), owner=user)

    def test_refuses_an_upload_of_another_kind_or_type(self) -> None:
        upload = store_media(PNG)
        for field, part in [
            ("type", {"type": "video", "media": upload.pk}),
            ("mime_type", image(media=upload.pk, mime_type="image/gif")),
        ]:
            with pytest.raises(RequestError) as caught:
                accept(asking(part))
            assert list(caught.value.errors) == [f"messages[0].content[0].{field}"]

    def test_stores_nothing_where_anything_is_wrong(self) -> None:
        parts = [image(data=PNG), image(data=b"hello"), image(data=PNG, mime_type="image/gif")]
        with pytest.raises(RequestError) as caught:
            accept(asking(*parts), config={"top_k": "x"})
        assert list(caught.value.errors) == [
            "messages[0].content[1].data",
            "messages[0].content[2].mime_type",
            "config.top_k",
        ]
        assert not Media.objects.exists()
        assert not storages["default"].exists("creatify_textgen")

    def test_is_no_fault_of_the_caller_where_the_storage_fails(self, monkeypatch: Any) -> None:
        def full(*_: Any, **__: Any) -> Any:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("django.core.files.storage.InMemoryStorage.save", full)
        with pytest.raises(TextgenError) as caught:
            accept(asking(image(data=PNG)))
        assert caught.value.code == "media_storage_failed"
        assert not isinstance(caught.value, RequestError)


class TestWireRequest:
    def test_carries_everything_without_a_query(self, django_assert_num_queries: Any) -> None:
        tools = [{"function_declarations": [{"name": "f"}]}]
        generation, content = saved(
            "Hello", system_instruction="Be kind.", config={"top_k": 1}, tools=tools
        )
        with django_assert_num_queries(0):
            request = wire_request(generation, content, webhook_url="https://a.b/c", sync=True)
        assert request.messages == [{"role": "user", "content": "Hello"}]
        assert (request.model_name, request.system_instruction) == (
            "gemini-3-flash-preview",
            "Be kind.",
        )
        assert (request.config, request.tools, request.tool_config) == ({"top_k": 1}, tools, None)
        assert (request.webhook_url, request.sync) == ("https://a.b/c", True)

    def test_reads_media_from_the_storage(self, django_assert_num_queries: Any) -> None:
        generation, content = saved(asking(image(data=PNG), {"type": "video", "data": MP4}))
        with django_assert_num_queries(1):
            request = wire_request(generation, content)
        picture, video, text = request.messages[0]["content"]
        assert text == {"type": "text", "text": "What is it?"}
        assert (picture["type"], picture["mime_type"]) == ("image", "image/png")
        assert set(video) == {"type", "mime_type", "data"}
        for part, expected in ((picture, PNG), (video, MP4)):
            assert isinstance(part["data"], MediaSource)
            assert part["data"].size == len(expected)
            for _ in range(2):
                with part["data"].open() as stream:
                    assert base64.b64encode(stream.read()) == base64.b64encode(expected)
        assert "media" in content.messages[0]["content"][0]

    @pytest.mark.parametrize("lost", ["row", "file", "part of the file"])
    def test_says_which_medium_is_gone(self, lost: str) -> None:
        generation, content = saved(asking(image(data=PNG)))
        media = Media.objects.get()
        if lost == "row":
            media.delete()
        else:
            storages["default"].delete(media.path)
        if lost == "part of the file":
            storages["default"].save(media.path, ContentFile(PNG[:9]))
        with pytest.raises(RequestError) as caught:
            wire_request(generation, content)
        assert caught.value.code == "media_missing"
        assert list(caught.value.errors) == ["messages[0].content[0].media"]
