"""The vendor's API as a client sees it, in all three modes, and each switch on the way."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import time
from typing import Any

import pytest

from creatify_textgen.emulator import Emulator
from tests.integration.emulator.calling import (
    COLLECTION,
    CREDITS,
    STREAM,
    Caller,
    Receiver,
    eventually,
    request_with,
)

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
WEATHER = {
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"location": {"type": "string"}},
        "required": ["location"],
    },
}


class TestCreate:
    def test_answers_pending_and_then_done(self, caller: Caller) -> None:
        created = caller.create(system_instruction="Be brief.", config={"seed": 1})
        assert created.status == 201
        assert created.json["status"] == "pending"
        assert created.json["credits_used"] == 0
        assert created.json["config"] == {"seed": 1}
        assert eventually(lambda: caller.detail(created.json["id"]).json["status"] == "done")
        done = caller.detail(created.json["id"]).json
        assert "Write a short tagline." in done["response_text"]
        assert done["credits_used"] > 0
        assert done["updated_at"] == created.json["updated_at"]

    def test_answers_with_the_result_in_sync(self, caller: Caller) -> None:
        answer = caller.create(sync=True)
        assert (answer.status, answer.json["status"]) == (201, "done")

    def test_calls_functions(self, caller: Caller) -> None:
        tools = [{"function_declarations": [WEATHER]}]
        answer = caller.create(
            content="What is the weather in San Francisco?", tools=tools, sync=True
        )
        assert answer.json["response_function_calls"] == [
            {"name": "get_weather", "args": {"location": "San Francisco"}}
        ]

    def test_describes_media(self, emulator: Emulator, caller: Caller) -> None:
        encoded = base64.b64encode(PNG).decode()
        part = {"type": "image", "data": encoded, "mime_type": "image/png"}
        answer = caller.create(content=[part, {"type": "text", "text": "Describe."}], sync=True)
        assert f"image/png, {len(PNG)} bytes, 1x1" in answer.json["response_text"]
        logged = emulator.requests[-1].body["messages"][0]["content"][0]["data"]
        assert logged == {"size": len(PNG), "sha256": hashlib.sha256(PNG).hexdigest()}
        assert "data" not in answer.json["messages"][0]["content"][0]

    def test_echoes_media_where_switched_on(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(media_echo="full")
        encoded = base64.b64encode(bytes(9_999)).decode()
        part = {"type": "video", "data": encoded, "mime_type": "video/mp4"}
        assert caller.create(content=[part]).json["messages"][0]["content"] == [part]

    def test_takes_a_large_video_quickly(self, emulator: Emulator, caller: Caller) -> None:
        content = bytes(1024) * 1024 * 8
        part = {"type": "video", "data": base64.b64encode(content).decode()}
        answer = caller.create(content=[{**part, "mime_type": "video/mp4"}])
        assert answer.status == 201
        logged = emulator.requests[-1].body["messages"][0]["content"][0]["data"]
        assert logged["sha256"] == hashlib.sha256(content).hexdigest()

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (request_with(config={"temperature": 3}), "config.temperature"),
            (request_with(content=[{"type": "audio"}]), "messages[0].content[0].type"),
            (b"{nonsense", "Invalid request body"),
            (b'{"a": "\xff"}', "not valid Unicode"),
            (b"[" * 900 + b"]" * 900, "nested too deeply"),
            (b"", "Invalid request body"),
        ],
        ids=["range", "part", "json", "utf8", "deep", "empty"],
    )
    @pytest.mark.parametrize("path", [COLLECTION, STREAM])
    def test_refuses_what_is_wrong(
        self, emulator: Emulator, caller: Caller, path: str, body: Any, words: str
    ) -> None:
        answer = caller.post(path, body=body)
        assert answer.status == 400
        assert words in answer.json["error"]
        assert emulator.counters["refused"] == 1
        assert emulator.generations == []

    def test_refuses_other_content_types(self, caller: Caller) -> None:
        headers = {"Content-Type": "text/plain"}
        assert caller.post(COLLECTION, body=request_with(), headers=headers).status == 415

    def test_survives_what_a_prompt_may_hold(self, caller: Caller) -> None:
        text = "\x00 <script> \u2028 é 😀"
        answer = caller.create(content=text, sync=True)
        assert answer.json["messages"][0]["content"] == text
        assert text in answer.json["response_text"]


class TestKeys:
    @pytest.mark.parametrize(
        "keys", [{}, {"X-API-ID": "one"}, {"X-API-KEY": "two"}, {"X-API-ID": "", "X-API-KEY": "x"}]
    )
    @pytest.mark.parametrize("path", [COLLECTION, CREDITS])
    def test_are_needed_both(self, emulator: Emulator, path: str, keys: dict[str, str]) -> None:
        caller = Caller(emulator, keys=keys)
        assert caller.get(path).status == 401
        caller.close()

    def test_may_be_restricted(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(api_keys=[("one", "secret-of-one")])
        other = Caller(emulator, keys={"X-API-ID": "two", "X-API-KEY": "x"})
        assert (caller.get(COLLECTION).status, other.get(COLLECTION).status) == (200, 401)
        other.close()

    def test_separate_workspaces(self, emulator: Emulator, caller: Caller) -> None:
        created = caller.create(sync=True).json
        other = Caller(emulator, keys={"X-API-ID": "two", "X-API-KEY": "x"})
        assert other.detail(created["id"]).status == 404
        assert other.get(COLLECTION).json == []
        assert other.get(CREDITS).json == {"remaining_credits": 379.0}
        other.close()

    def test_never_reach_the_log(self, emulator: Emulator, caller: Caller) -> None:
        caller.create()
        assert "secret-of-one" not in str([each.as_json() for each in emulator.requests])


class TestPaths:
    @pytest.mark.parametrize(
        ("method", "path", "status", "body"),
        [
            ("GET", "/nowhere/", 404, b"Not Found"),
            ("GET", f"{COLLECTION}not-a-uuid/", 404, b"Not Found"),
            ("DELETE", COLLECTION, 405, b"Method Not Allowed"),
            ("GET", STREAM, 405, b"Method Not Allowed"),
        ],
    )
    def test_answers_as_starlette_does(
        self, caller: Caller, method: str, path: str, status: int, body: bytes
    ) -> None:
        answer = caller.call(method, path)
        assert (answer.status, answer.body) == (status, body)
        assert answer.headers["Content-Type"].startswith("text/plain")

    def test_answers_an_unknown_id_in_json(self, caller: Caller) -> None:
        answer = caller.detail(UNKNOWN_ID)
        assert (answer.status, answer.json) == (404, {"error": "Not found."})

    def test_redirects_a_missing_slash(self, emulator: Emulator, caller: Caller) -> None:
        answer = caller.post("/sse/text_generator?x=1", body=request_with())
        assert answer.status == 307
        assert answer.headers["Location"] == f"{emulator.url}/sse/text_generator/?x=1"
        emulator.switches.set(slash="not_found")
        assert caller.get("/sse/text_generator").status == 404

    def test_serves_the_older_twin(self, emulator: Emulator, caller: Caller) -> None:
        created = caller.post("/api/text_generator/", body=request_with(sync=True, tools="x"))
        assert (created.status, created.json["status"]) == (201, "pending")
        assert "response_function_calls" not in created.json
        assert caller.get(f"/api/text_generator/{created.json['id']}/").status == 200
        parts = request_with([{"type": "text", "text": "x"}])
        assert list(caller.post("/api/text_generator/", body=parts).json) == ["messages"]
        emulator.switches.set(legacy_paths=False)
        assert caller.get("/api/text_generator/").status == 404


class TestList:
    def test_is_a_bare_array_newest_first(self, caller: Caller) -> None:
        created = [caller.create().json["id"] for _ in range(3)]
        listed = [each["id"] for each in caller.get(COLLECTION).json]
        assert listed == created[::-1]

    def test_is_empty_at_first(self, caller: Caller) -> None:
        assert caller.get(COLLECTION).body == b"[]"

    def test_can_be_long(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(stuck=True)
        created = {caller.create().json["id"] for _ in range(350)}
        assert {each["id"] for each in caller.get(COLLECTION).json} == created

    def test_can_be_paged(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(list_style="results", list_page_size=2)
        created = [caller.create().json["id"] for _ in range(5)]
        found, path = [], COLLECTION
        while path:
            page = caller.get(path).json
            found += [each["id"] for each in page["results"]]
            path = (page["next"] or "").removeprefix(emulator.url)
        assert found == created[::-1]

    @pytest.mark.parametrize("number", ["x", "-1", "9" * 5000], ids=["text", "negative", "long"])
    def test_begins_with_the_first_page(
        self, emulator: Emulator, caller: Caller, number: str
    ) -> None:
        emulator.switches.set(list_style="results")
        created = caller.create().json["id"]
        page = caller.get(f"{COLLECTION}?page={number}").json
        assert [each["id"] for each in page["results"]] == [created]

    @pytest.mark.parametrize("order", ["oldest", "shuffled"])
    def test_can_be_ordered_otherwise(self, emulator: Emulator, caller: Caller, order: str) -> None:
        emulator.switches.set(list_order=order)
        created = [caller.create().json["id"] for _ in range(10)]
        listed = [each["id"] for each in caller.get(COLLECTION).json]
        assert sorted(listed) == sorted(created)
        assert (listed == created) or order == "shuffled"

    def test_can_be_cut_short(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(list_limit=2)
        created = [caller.create().json["id"] for _ in range(4)]
        assert [each["id"] for each in caller.get(COLLECTION).json] == created[:1:-1]

    def test_forgets_what_is_too_old(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(retention=2)
        created = [caller.create().json["id"] for _ in range(4)]
        assert caller.detail(created[0]).status == 404
        assert len(caller.get(COLLECTION).json) == 2


class TestCredits:
    def test_go_down_by_what_was_used(self, emulator: Emulator, caller: Caller) -> None:
        used = caller.create(sync=True).json["credits_used"]
        answer = caller.get(CREDITS)
        assert answer.json == {"remaining_credits": round(379.0 - used, 8)}
        emulator.switches.set(balance=2000)
        assert caller.get(CREDITS).json["remaining_credits"] == pytest.approx(2000 - used)

    def test_are_a_float_even_when_whole(self, caller: Caller) -> None:
        assert caller.get(CREDITS).body == b'{"remaining_credits":379.0}'

    def test_can_go_at_once(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(charge_at="accept", stuck=True)
        assert caller.create().json["credits_used"] > 0
        assert caller.get(CREDITS).json["remaining_credits"] < 379

    @pytest.mark.parametrize("switches", [{"balance": 0}, {"credits": "insufficient_at_create"}])
    def test_refuse_when_they_have_run_out(
        self, emulator: Emulator, caller: Caller, switches: dict[str, Any]
    ) -> None:
        emulator.switches.set(**switches)
        assert caller.create().status == 402
        assert caller.post(STREAM, body=request_with()).status == 402

    def test_can_run_out_while_processing(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(credits="insufficient_at_processing")
        failed = caller.create(sync=True).json
        assert failed["status"] == "failed"
        assert "credits" in failed["failed_reason"]
        assert caller.get(CREDITS).json["remaining_credits"] == 379


class TestEnd:
    @pytest.mark.parametrize(("charged", "used"), [(False, False), (True, True)])
    def test_can_be_a_failure(
        self, emulator: Emulator, caller: Caller, *, charged: bool, used: bool
    ) -> None:
        emulator.switches.set(final_state="failed", failed_reason="No.", failed_charged=charged)
        failed = caller.create(sync=True).json
        assert (failed["status"], failed["failed_reason"]) == ("failed", "No.")
        assert (failed["credits_used"] > 0) is used
        assert failed["response_text"] == ""

    @pytest.mark.parametrize("state", ["empty", "function_calls", "invalid_json"])
    def test_can_be_a_strange_success(self, emulator: Emulator, caller: Caller, state: str) -> None:
        emulator.switches.set(final_state=state)
        done = caller.create(sync=True).json
        assert done["status"] == "done"
        assert bool(done["response_text"]) is (state == "invalid_json")
        assert bool(done["response_function_calls"]) is (state == "function_calls")

    def test_waits_for_a_hand_where_it_is_stuck(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(stuck=True)
        created = caller.create().json["id"]
        assert caller.detail(created).json["status"] == "pending"
        assert emulator.finish(created)
        assert not emulator.finish(created, status="failed")
        assert caller.detail(created).json["status"] == "done"

    def test_can_be_made_a_failure_by_hand(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(stuck=True)
        created = caller.create().json["id"]
        emulator.finish(created, status="failed", failed_reason="By hand.")
        assert caller.detail(created).json["failed_reason"] == "By hand."
        with pytest.raises(KeyError):
            emulator.finish(UNKNOWN_ID)

    def test_passes_through_running(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(pending_seconds=0.01, running_seconds=60)
        created = caller.create().json["id"]
        assert eventually(lambda: caller.detail(created).json["status"] == "running")
        emulator.finish(created)

    def test_can_be_a_failure_for_a_value_out_of_range(
        self, emulator: Emulator, caller: Caller
    ) -> None:
        emulator.switches.set(config_range="fail")
        failed = caller.create(sync=True, config={"temperature": 3}).json
        assert "config.temperature" in failed["failed_reason"]
        emulator.switches.set(config_range="ignore")
        assert caller.create(sync=True, config={"temperature": 3}).json["status"] == "done"


class TestSync:
    @pytest.mark.parametrize(
        ("answer", "status", "word"), [("pending", 201, "pending"), ("failed", 201, "failed")]
    )
    def test_may_be_answered_otherwise(
        self, emulator: Emulator, caller: Caller, answer: str, status: int, word: str
    ) -> None:
        emulator.switches.set(sync_answer=answer)
        reply = caller.create(sync=True)
        assert (reply.status, reply.json["status"]) == (status, word)

    def test_may_fail_with_a_500(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(sync_answer="error")
        reply = caller.create(sync=True)
        assert (reply.status, reply.body) == (500, b"Internal Server Error")
        assert [each.status for each in emulator.generations] == ["failed"]


class TestFault:
    @pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 429, 500, 502, 503, 504])
    def test_at_create_refuses_as_often_as_asked(
        self, emulator: Emulator, caller: Caller, status: int
    ) -> None:
        emulator.switches.set(error_at_create=status, times=2)
        paths = [COLLECTION, STREAM, COLLECTION]
        replies = [caller.post(path, body=request_with()) for path in paths]
        assert [reply.status for reply in replies] == [status, status, 201]
        assert ("Retry-After" in replies[0].headers) is (status in (429, 503))
        assert (emulator.counters["refused"], emulator.counters["creates"]) == (2, 1)

    @pytest.mark.parametrize(
        ("switch", "path"),
        [
            ("error_at_get", f"{COLLECTION}{UNKNOWN_ID}/"),
            ("error_at_list", COLLECTION),
            ("error_at_credits", CREDITS),
        ],
    )
    def test_at_reading_refuses_too(
        self, emulator: Emulator, caller: Caller, switch: str, path: str
    ) -> None:
        emulator.switches.set(**{switch: "429"}, retry_after="date")
        reply = caller.get(path)
        assert reply.status == 429
        assert reply.headers["Retry-After"].endswith(" GMT")

    @pytest.mark.parametrize("style", ["detail", "field", "non_field", "list", "text", "html"])
    def test_bodies_come_in_every_style(
        self, emulator: Emulator, caller: Caller, style: str
    ) -> None:
        emulator.switches.set(error_body=style)
        reply = caller.post(COLLECTION, body={})
        assert reply.status == 400
        assert b"model_name" in reply.body

    def test_outage_refuses_everything(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(outage="503")
        assert [caller.get(path).status for path in (COLLECTION, CREDITS)] == [503, 503]
        assert caller.create().status == 503

    def test_outage_can_reset(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(outage="reset")
        with pytest.raises(ConnectionError):
            caller.get(COLLECTION)

    @pytest.mark.parametrize("path", [COLLECTION, STREAM])
    @pytest.mark.parametrize(
        ("switch", "count"), [("reset_before_accept", 0), ("reset_after_accept", 1)]
    )
    def test_reset_leaves_something_or_nothing(
        self, emulator: Emulator, caller: Caller, path: str, switch: str, count: int
    ) -> None:
        emulator.switches.set(**{switch: True}, times=1)
        with pytest.raises(ConnectionError):
            caller.post(path, body=request_with())
        assert emulator.counters["creates"] == count
        assert emulator.requests[-1].status is None
        assert eventually(lambda: all(each.is_final for each in emulator.generations))
        assert caller.create().status == 201

    @pytest.mark.parametrize("path", [COLLECTION, STREAM])
    @pytest.mark.parametrize("sync", [False, True])
    def test_error_may_hide_what_was_accepted(
        self, emulator: Emulator, caller: Caller, path: str, *, sync: bool
    ) -> None:
        emulator.switches.set(error_after_accept="504", times=1)
        assert caller.post(path, body=request_with(sync=sync)).status == 504
        assert (emulator.counters["creates"], emulator.counters["refused"]) == (1, 0)
        assert eventually(lambda: emulator.generations[0].status == "done")

    def test_answer_may_come_after_the_generation(self, emulator: Emulator) -> None:
        emulator.switches.set(answer_delay=60)
        impatient = Caller(emulator)
        impatient._connection.timeout = 0.2
        with pytest.raises(TimeoutError):
            impatient.create()
        impatient.close()
        assert emulator.counters["creates"] == 1
        assert eventually(lambda: emulator.generations[0].status == "done")

    def test_latency_is_before_each_answer(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(latency=0.1)
        start = time.monotonic()
        caller.get(COLLECTION)
        assert time.monotonic() - start >= 0.1

    def test_texts_may_be_null(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(null_style="null", timestamps="z")
        created = caller.create().json
        assert (created["response_text"], created["failed_reason"]) == (None, None)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", created["created_at"])


class TestWebhook:
    def test_tells_the_end(self, emulator: Emulator, caller: Caller, receiver: Receiver) -> None:
        created = caller.create(webhook_url=receiver.url).json
        delivered = receiver.next()
        assert (delivered["id"], delivered["status"]) == (created["id"], "done")
        assert eventually(lambda: emulator.requests[-1].status == 204)
        record = emulator.requests[-1]
        assert (record.kind, record.path) == ("webhook", receiver.url)
        assert emulator.counters["webhooks"] == 1

    @pytest.mark.parametrize(
        ("manner", "statuses"),
        [
            ("duplicate", ["done", "done"]),
            ("progress", ["done", "pending", "running"]),
            ("out_of_order", ["done", "pending", "running"]),
        ],
    )
    def test_comes_as_switched_on(
        self,
        emulator: Emulator,
        caller: Caller,
        receiver: Receiver,
        manner: str,
        statuses: list[str],
    ) -> None:
        emulator.switches.set(webhook=manner)
        caller.create(webhook_url=receiver.url)
        assert sorted(receiver.next()["status"] for _ in statuses) == statuses

    def test_can_come_before_the_answer(
        self, emulator: Emulator, caller: Caller, receiver: Receiver
    ) -> None:
        emulator.switches.set(webhook="early")
        created = caller.create(webhook_url=receiver.url).json
        assert receiver.deliveries.get_nowait()["id"] == created["id"]
        assert created["status"] == "pending"

    def test_tells_failures(self, emulator: Emulator, caller: Caller, receiver: Receiver) -> None:
        emulator.switches.set(final_state="failed")
        caller.create(webhook_url=receiver.url)
        assert receiver.next()["status"] == "failed"

    def test_leaves_sync_alone_unless_asked(
        self, emulator: Emulator, caller: Caller, receiver: Receiver
    ) -> None:
        caller.create(webhook_url=receiver.url, sync=True)
        emulator.switches.set(webhook_on_sync=True)
        second = caller.create(webhook_url=receiver.url, sync=True).json
        assert receiver.next()["id"] == second["id"]

    def test_is_tried_again_where_switched_on(
        self, emulator: Emulator, caller: Caller, receiver: Receiver
    ) -> None:
        receiver.status = 500
        emulator.switches.set(webhook_attempts=3)
        caller.create(webhook_url=receiver.url)
        assert [receiver.next()["status"] for _ in range(3)] == ["done"] * 3

    def test_may_be_late(self, emulator: Emulator, caller: Caller, receiver: Receiver) -> None:
        emulator.switches.set(webhook_delay=60)
        created = caller.create(webhook_url=receiver.url).json["id"]
        assert eventually(lambda: caller.detail(created).json["status"] == "done")
        assert emulator.counters["webhooks"] == 0

    def test_does_not_wait_for_ever(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(webhook_timeout=0.05)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            caller.create(webhook_url=f"http://127.0.0.1:{silent.getsockname()[1]}/hook/")
            assert eventually(lambda: emulator.requests[-1].error.startswith("TimeoutError"))

    def test_that_nobody_receives_is_logged(self, emulator: Emulator, caller: Caller) -> None:
        caller.create(webhook_url="http://127.0.0.1:1/hook/")
        assert eventually(lambda: bool(emulator.requests[-1].error))
        assert emulator.requests[-1].kind == "webhook"


class TestJson:
    def test_is_compact_and_utf8(self, caller: Caller) -> None:
        assert b'"content":"\xc3\xa9"' in caller.create(content="é").body
