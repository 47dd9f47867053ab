"""Streams over real sockets: what arrives, how it ends, and what becomes of the generation."""

from __future__ import annotations

import http.client
import json
import threading
from urllib.parse import urlsplit

import pytest
import requests
from sseclient import SSEClient

from creatify_textgen.emulator import Emulator
from tests.integration.emulator.calling import (
    COLLECTION,
    KEYS,
    PATIENCE,
    STREAM,
    Caller,
    eventually,
    request_with,
)


def open_stream(emulator: Emulator) -> requests.Response:
    url = f"{emulator.url}{STREAM}"
    return requests.post(url, json=request_with(), headers=KEYS, stream=True, timeout=PATIENCE)


class TestStream:
    def test_tells_the_answer_and_names_the_generation(self, emulator: Emulator) -> None:
        with open_stream(emulator) as response:
            assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
            chunks = [json.loads(event.data) for event in SSEClient(response).events()]
        text = "".join(
            part["text"] for c in chunks for part in c["candidates"][0]["content"]["parts"]
        )
        (generation,) = emulator.generations
        assert chunks[-1]["creatify"] == {
            "id": generation.id,
            "credits_used": generation.credits_used,
        }
        assert (generation.status, generation.response_text) == ("done", text)

    def test_leaves_the_connection_for_more(self, caller: Caller) -> None:
        streamed = caller.post(STREAM, body=request_with())
        identity = json.loads(streamed.body.rsplit(b"data: ", 1)[1])["creatify"]["id"]
        assert caller.detail(identity).json["status"] == "done"
        assert [each["id"] for each in caller.get(COLLECTION).json] == [identity]

    def test_can_be_kept_off_the_list(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(stream_listed="never")
        caller.post(STREAM, body=request_with())
        assert caller.get(COLLECTION).json == []
        assert caller.detail(emulator.generations[0].id).status == 404

    def test_may_be_listed_only_once_it_has_ended(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(stream_listed="at_end", stuck=True)
        caller.post(STREAM, body=request_with())
        assert caller.get(COLLECTION).json == []
        [generation] = emulator.generations
        assert emulator.finish(generation.id)
        assert [each["status"] for each in caller.get(COLLECTION).json] == ["done"]

    def test_ignores_sync_and_webhook_url(self, emulator: Emulator, caller: Caller) -> None:
        body = request_with(sync=True, webhook_url="http://127.0.0.1:1/")
        assert caller.post(STREAM, body=body).status == 200
        assert emulator.counters["webhooks"] == 0

    def test_charges_what_it_says(self, emulator: Emulator, caller: Caller) -> None:
        caller.post(STREAM, body=request_with())
        used = emulator.generations[0].credits_used
        balance = caller.get("/api/remaining_credits/").json["remaining_credits"]
        assert balance == pytest.approx(379 - used)


class TestContent:
    @pytest.mark.parametrize("content", ["prompt_block", "safety"])
    def test_that_is_blocked_is_a_failure(
        self, emulator: Emulator, caller: Caller, content: str
    ) -> None:
        emulator.switches.set(stream_content=content)
        caller.post(STREAM, body=request_with())
        (generation,) = emulator.generations
        assert (generation.status, generation.credits_used) == ("failed", 0)

    def test_can_be_function_calls(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(stream_content="function_call")
        assert b"functionCall" in caller.post(STREAM, body=request_with()).body
        assert emulator.generations[0].response_function_calls

    def test_can_be_thoughts(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(stream_content="thoughts")
        assert b'"thoughtsTokenCount":12' in caller.post(STREAM, body=request_with()).body

    @pytest.mark.parametrize(
        "switches", [{"final_state": "failed"}, {"credits": "insufficient_at_processing"}]
    )
    def test_of_a_failure_is_an_error(
        self, emulator: Emulator, caller: Caller, switches: dict[str, str]
    ) -> None:
        emulator.switches.set(**switches)
        assert b'"error"' in caller.post(STREAM, body=request_with()).body
        assert emulator.generations[0].status == "failed"


class TestFault:
    @pytest.mark.parametrize(
        "fault", ["error_event", "error_text_event", "raw_json_tail", "named_error_event"]
    )
    def test_error_fails_the_generation(
        self, emulator: Emulator, caller: Caller, fault: str
    ) -> None:
        emulator.switches.set(stream_fault=fault, failed_reason="Overloaded.")
        assert b"Overloaded." in caller.post(STREAM, body=request_with()).body
        (generation,) = emulator.generations
        assert (generation.status, generation.failed_reason) == ("failed", "Overloaded.")

    @pytest.mark.parametrize("fault", ["cut_mid_event", "cut_without_creatify"])
    @pytest.mark.parametrize(
        ("cut", "error"),
        [("close", http.client.IncompleteRead), ("reset", ConnectionError), ("complete", None)],
    )
    def test_cut_loses_the_end_but_not_the_generation(
        self,
        emulator: Emulator,
        caller: Caller,
        fault: str,
        cut: str,
        error: type[Exception] | None,
    ) -> None:
        emulator.switches.set(stream_fault=fault, stream_cut=cut)
        if error is None:
            assert b"creatify" not in caller.post(STREAM, body=request_with()).body
        else:
            with pytest.raises(error):
                caller.post(STREAM, body=request_with())
        (generation,) = emulator.generations
        assert (generation.status, generation.credits_used > 0) == ("done", True)

    def test_empty_body_is_a_clean_end(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(stream_fault="empty_body")
        assert caller.post(STREAM, body=request_with()).body == b""
        assert emulator.generations[0].status == "done"

    @pytest.mark.parametrize("fault", ["done_marker", "drip"])
    def test_that_does_no_harm_leaves_a_whole_stream(
        self, emulator: Emulator, caller: Caller, fault: str
    ) -> None:
        emulator.switches.set(stream_fault=fault)
        assert b"creatify" in caller.post(STREAM, body=request_with()).body

    def test_silence_keeps_the_connection_open(self, emulator: Emulator) -> None:
        emulator.switches.set(stream_fault="silence", stream_ping_seconds=0.01)
        with open_stream(emulator) as response:
            lines = response.iter_lines()
            assert eventually(lambda: next(lines).startswith(b": ping - "))
            assert emulator.generations[0].status == "done"


class TestReader:
    @pytest.mark.parametrize(("switch", "status"), [("charged", "done"), ("stopped", "failed")])
    def test_that_leaves_ends_the_generation(
        self, emulator: Emulator, switch: str, status: str
    ) -> None:
        emulator.switches.set(stream_disconnect=switch, chunk_interval=60)
        with open_stream(emulator) as response:
            next(response.iter_content(None))
        assert eventually(lambda: emulator.generations[0].status == status)
        assert (emulator.generations[0].credits_used > 0) is (status == "done")

    def test_that_leaves_before_the_first_chunk_does_too(self, emulator: Emulator) -> None:
        emulator.switches.set(latency=60)
        address = urlsplit(emulator.url)
        connection = http.client.HTTPConnection(str(address.hostname), address.port)
        body = json.dumps(request_with())
        headers = {**KEYS, "Content-Type": "application/json"}
        connection.request("POST", STREAM, body=body, headers=headers)
        assert eventually(lambda: len(emulator.generations) == 1)
        connection.close()
        assert eventually(lambda: emulator.generations[0].status == "done")

    def test_is_one_of_many(self, emulator: Emulator) -> None:
        emulator.switches.set(chunk_interval=0.005, chunk_count=20)
        bodies: list[bytes] = []

        def read() -> None:
            with open_stream(emulator) as response:
                bodies.append(response.content)

        readers = [threading.Thread(target=read) for _ in range(40)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        assert [body.count(b"data: ") for body in bodies] == [20] * 40
        assert len({body.rsplit(b'"creatify"', 1)[1] for body in bodies}) == 40
