"""Wrong deliveries, confirmed and believed: bodies refused, odd fields ignored, nothing a 500."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from creatify_textgen.dispatch import callbacks
from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Generation, GenerationEvent
from creatify_textgen.states import Status
from tests.factories import make_generation

REMOTE_ID = "a1b2c3d4-5678-90ab-cdef-1234567890ab"
UNREADABLE: dict[str, bytes] = {
    "nothing": b"",
    "space": b" \r\n\t",
    "cut object": b'{"id": "a"',
    "cut string": b'{"id": "a',
    "cut escape": b'{"id": "\\u00',
    "single quotes": b"{'id': 'a'}",
    "bare keys": b'{id: "a"}',
    "comma at the end": b'{"id": "a",}',
    "comment": b'{"id": "a"} // done',
    "two values": b'{"id": "a"}{"id": "a"}',
    "bare NUL": b'{"id": "a\x00"}',
    "NUL behind": b'{"id": "a"}\x00',
    "bare newline": b'{"id": "a\n"}',
    "not UTF-8": b"\xff\xfe\x00",
    "cut UTF-16": '{"id": "a"}'.encode("utf-16")[:-1],
    "cut UTF-32": '{"id": "a"}'.encode("utf-32")[:-4],
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
    "form": b"id=a&status=done",
    "multipart": b'--b\r\nContent-Disposition: form-data; name="id"\r\n\r\na\r\n--b--',
    "XML": b"<?xml version='1.0'?><id>a</id>",
    "pickle": b"\x80\x04\x95\x0b\x00\x00\x00",
    "YAML": b"id: a\nstatus: done",
    "leading zero": b'{"id": "a", "credits_used": 007}',
    "hexadecimal": b'{"id": "a", "credits_used": 0x7}',
    "deep lists": b"[" * 200_000,
    "deep objects": b'{"a":' * 100_000,
    "deep and whole": b'{"id": "a", "b": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}
NAMELESS: dict[str, Any] = {
    "null": None,
    "true": True,
    "number": 7,
    "string": "text",
    "list": [],
    "list of one": [{"id": REMOTE_ID, "status": "done"}],
    "object": {},
    "no id": {"status": "done"},
    "id in another case": {"ID": REMOTE_ID},
    "id within": {"data": {"id": REMOTE_ID}},
    "id null": {"id": None},
    "id true": {"id": True},
    "id a fraction": {"id": 1.5},
    "id negative": {"id": -1},
    "id a huge number": {"id": 10**4000},
    "id empty": {"id": ""},
    "id a space": {"id": " "},
    "id padded": {"id": f" {REMOTE_ID} "},
    "id a list": {"id": [REMOTE_ID]},
    "id an object": {"id": {"a": 1}},
    "id endless": {"id": "x" * 10_000},
    "id of NUL": {"id": "\x00"},
    "id with NUL": {"id": f"{REMOTE_ID}\x00"},
    "id a lone surrogate": {"id": "\ud800"},
    "id a path": {"id": "../../credits"},
    "id a query": {"id": "a?b=c"},
    "id with a newline": {"id": f"{REMOTE_ID}\n"},
    "id of other digits": {"id": "\u0661\u0662"},
    "id markup": {"id": "<script>"},
    "id SQL": {"id": "' OR 1=1 --"},
}
ODD: dict[str, dict[str, Any]] = {
    "nothing but the id": {},
    "status null": {"status": None},
    "status number": {"status": 3},
    "status list": {"status": ["done"]},
    "status object": {"status": {"is": "done"}},
    "status unknown": {"status": "paused"},
    "status in another case": {"status": "DONE"},
    "status endless": {"status": "x" * 100_000},
    "status NUL": {"status": "done\x00"},
    "status surrogate": {"status": "\ud800"},
    "status of the app": {"status": "unconfirmed"},
    "status cancelled": {"status": "cancelled"},
    "text number": {"status": "done", "response_text": 7},
    "text list": {"status": "done", "response_text": ["a"]},
    "text object": {"status": "done", "response_text": {"a": 1}},
    "text NUL": {"status": "done", "response_text": "a\x00b"},
    "text surrogate": {"status": "done", "response_text": "a\udc00\ud800b"},
    "text large": {"status": "done", "response_text": "x" * 2_000_000},
    "calls text": {"status": "done", "response_function_calls": "get_weather"},
    "calls object": {"status": "done", "response_function_calls": {"name": "f"}},
    "calls of null": {"status": "done", "response_function_calls": [None, 1, "a", []]},
    "calls nameless": {"status": "done", "response_function_calls": [{}]},
    "name a list": {"status": "done", "response_function_calls": [{"name": ["f"]}]},
    "name NUL": {"status": "done", "response_function_calls": [{"name": "\x00"}]},
    "args text": {"status": "done", "response_function_calls": [{"name": "f", "args": "x"}]},
    "args surrogate": {
        "status": "done",
        "response_function_calls": [{"name": "f", "args": {"\ud800": "\udfff"}}],
    },
    "args huge": {
        "status": "done",
        "response_function_calls": [{"name": "f", "args": {"n": 10**4000}}],
    },
    "reason number": {"status": "failed", "failed_reason": 7},
    "reason NUL": {"status": "failed", "failed_reason": "\x00"},
    "reason large": {"status": "failed", "failed_reason": "x" * 1_000_000},
    "reason null": {"status": "failed", "failed_reason": None},
    "credits text": {"status": "done", "credits_used": "many"},
    "credits empty": {"status": "done", "credits_used": ""},
    "credits true": {"status": "done", "credits_used": True},
    "credits list": {"status": "done", "credits_used": [1]},
    "credits negative": {"status": "done", "credits_used": -5},
    "credits huge": {"status": "done", "credits_used": 10**30},
    "credits NaN in quotes": {"status": "done", "credits_used": "NaN"},
    "credits infinite in quotes": {"status": "done", "credits_used": "-Infinity"},
    "credits of many places": {"status": "done", "credits_used": "0." + "1" * 300},
    "unknown fields": {"status": "done", "owner": 1, "deliveries": 99, "__class__": "x"},
}
RAW_NUMBERS = ["1e999999999", "-1e999999999", "1e-999999999", "1E400", "0.1e999999999999999999999"]
RAW_NUMBERS += ["NaN", "-Infinity", "9" * 5000]


@pytest.fixture
def pending(db: None) -> Generation:
    now = timezone.now()  # the receiver's own clock, which expires what is a day old
    return make_generation(
        status="pending",
        remote_id=REMOTE_ID,
        created_at=now,
        due_at=now + timedelta(hours=1),
    )


@pytest.fixture(params=[True, False], ids=["confirmed", "believed"], autouse=True)
def confirms(request: pytest.FixtureRequest, remote: Emulator, settings: Any) -> bool:
    """Whether the site asks the remote, or believes what is posted."""
    settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "CONFIRM_WEBHOOKS": request.param}
    return bool(request.param)


def post(generation: Generation, body: bytes) -> int:
    path = f"/textgen/webhooks/{generation.pk}/{callbacks.make_token(generation.pk)}/"
    response = Client().generic("POST", path, body, "application/json")
    assert response.content == b""
    return int(response.status_code)


def state() -> list[Any]:
    tables = (Generation.objects.values(), GenerationEvent.objects.values())
    return [list(table.order_by("pk")) for table in tables]


class TestUnreadable:
    @pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
    def test_is_400_and_changes_nothing(
        self, remote: Emulator, pending: Generation, body: bytes
    ) -> None:
        before = state()
        assert post(pending, body) == 400
        assert state() == before
        assert not remote.requests


class TestNameless:
    @pytest.mark.parametrize("body", NAMELESS.values(), ids=NAMELESS)
    def test_is_400_and_changes_nothing(
        self, remote: Emulator, pending: Generation, body: Any
    ) -> None:
        before = state()
        assert post(pending, json.dumps(body).encode()) == 400
        assert state() == before
        assert not remote.requests


class TestOtherGeneration:
    def test_changes_no_row(self, pending: Generation, *, confirms: bool) -> None:
        status = post(pending, json.dumps({"id": "another", "status": "done"}).encode())
        assert status == (204 if confirms else 400)
        assert Generation.objects.get().status == Status.PENDING


class TestOdd:
    @pytest.mark.parametrize("fields", ODD.values(), ids=ODD)
    def test_leaves_a_whole_row(
        self, remote: Emulator, pending: Generation, fields: dict[str, Any], *, confirms: bool
    ) -> None:
        assert post(pending, json.dumps({"id": REMOTE_ID, **fields}).encode()) in {204, 400}
        assert_whole(fields.get("status"), confirms=confirms)
        assert not remote.requests

    @pytest.mark.parametrize("number", RAW_NUMBERS, ids=lambda number: number[:12])
    def test_leaves_a_whole_row_after_a_number(
        self, remote: Emulator, pending: Generation, number: str, *, confirms: bool
    ) -> None:
        body = f'{{"id": "{REMOTE_ID}", "status": "done", "credits_used": {number}}}'
        assert post(pending, body.encode()) in {204, 400}
        assert_whole("done", confirms=confirms)
        assert not remote.requests


def assert_whole(status: Any, *, confirms: bool) -> None:
    """Only a body that is trusted may move a row, and only if it says so plainly."""
    generation = Generation.objects.select_related("content").get()
    ends = {"done": "done", "DONE": "done", "failed": "failed", "cancelled": "failed"}
    end = None if confirms or not isinstance(status, str) else ends.get(status)
    assert generation.status in {"pending", end}
    kept = json.dumps([generation.content.response_text, generation.content.failed_reason,
                       generation.content.response_function_calls], ensure_ascii=False)  # fmt: skip
    assert "\\u0000" not in kept
    kept.encode()
    assert generation.credits_used is None or 0 <= generation.credits_used < 10**12
