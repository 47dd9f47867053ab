"""The control paths, and the same from Python."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from creatify_textgen.emulator import SWITCHES, Emulator
from tests.integration.emulator.calling import (
    COLLECTION,
    STREAM,
    Caller,
    eventually,
    request_with,
)

SWITCHES_PATH = "/_emulator/switches/"


class TestSwitches:
    def test_are_shown_with_their_meaning(self, caller: Caller) -> None:
        shown = caller.get(SWITCHES_PATH).json
        assert set(shown) == set(SWITCHES)
        assert set(shown["stuck"]) == {"value", "default", "allowed", "meaning", "times"}

    def test_are_set_for_a_number_of_requests(self, caller: Caller) -> None:
        body = {"error_at_create": "503", "times": 2}
        assert caller.post(SWITCHES_PATH, body=body).json["error_at_create"]["times"] == 2
        assert [caller.create().status for _ in range(3)] == [503, 503, 201]

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({"latancy": 1}, "Did you mean 'latency'?"),
            ({"stuck": "perhaps"}, "true or false"),
            ({"times": 0, "stuck": True}, "times"),
            ([], "a JSON object"),
            (b"{", "Expecting"),
        ],
        ids=["name", "value", "times", "list", "json"],
    )
    def test_refuse_what_they_do_not_know(self, caller: Caller, body: Any, words: str) -> None:
        reply = caller.post(SWITCHES_PATH, body=body)
        assert reply.status == 400
        assert words in reply.json["error"]

    def test_may_be_given_at_the_start(self) -> None:
        with Emulator(error_at_list="404") as emulator:
            emulator.switches.set(error_at_list="none")
            emulator.reset()
            caller = Caller(emulator)
            assert caller.get(COLLECTION).status == 404
            caller.close()


class TestReset:
    @pytest.mark.parametrize("way", ["http", "python"])
    def test_forgets_everything(self, emulator: Emulator, caller: Caller, way: str) -> None:
        caller.create(sync=True)
        emulator.switches.set(error_at_create="503")
        if way == "http":
            assert caller.post("/_emulator/reset/").status == 200
        else:
            emulator.reset()
        assert (emulator.generations, emulator.requests) == ([], [])
        assert set(emulator.counters.values()) == {0}
        assert caller.get("/api/remaining_credits/").json == {"remaining_credits": 379.0}
        assert caller.create().status == 201

    def test_leaves_nothing_of_a_stream_under_way(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(chunk_interval=0.01)
        reader = threading.Thread(
            target=caller.post, args=(STREAM,), kwargs={"body": request_with()}
        )
        reader.start()
        assert eventually(lambda: len(emulator.generations) == 1)
        emulator.reset()
        reader.join()
        assert caller.get("/api/remaining_credits/").json == {"remaining_credits": 379.0}

    def test_answers_who_was_waiting(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(stuck=True)
        waiting = threading.Thread(target=caller.create, kwargs={"sync": True})
        waiting.start()
        assert eventually(lambda: bool(emulator.generations))
        assert eventually(lambda: bool(emulator.generations[0].watchers))
        emulator.reset()
        waiting.join(5)
        assert not waiting.is_alive()


class TestView:
    def test_shows_requests_but_not_its_own(self, emulator: Emulator, caller: Caller) -> None:
        caller.create()
        caller.get(f"{COLLECTION}?a=1")
        shown = caller.get("/_emulator/requests/").json
        assert [(each["kind"], each["method"], each["status"]) for each in shown] == [
            ("create", "POST", 201),
            ("list", "GET", 200),
        ]
        assert shown[0]["body"] == request_with()
        assert shown[0]["headers"]["x-api-key"] == "***"
        assert shown[1]["path"] == f"{COLLECTION}?a=1"
        assert shown == [record.as_json() for record in emulator.requests]

    def test_remembers_a_bounded_number_of_requests(self) -> None:
        with Emulator(request_log_size=3) as emulator:
            caller = Caller(emulator)
            for _ in range(5):
                caller.get(COLLECTION)
            caller.close()
            assert len(emulator.requests) == 3

    def test_shows_generations_of_all_workspaces(self, caller: Caller, emulator: Emulator) -> None:
        other = Caller(emulator, keys={"X-API-ID": "two", "X-API-KEY": "x"})
        created = [caller.create().json["id"], other.create().json["id"]]
        other.close()
        shown = caller.get("/_emulator/generations/").json
        assert [each["id"] for each in shown] == created
        assert {each["mode"] for each in shown} == {"async"}

    def test_counts(self, emulator: Emulator, caller: Caller) -> None:
        created = caller.create().json["id"]
        caller.post(STREAM, body=request_with())
        caller.post(COLLECTION, body={})
        caller.detail(created)
        caller.get(COLLECTION)
        expected = {"creates": 2, "refused": 1, "gets": 1, "lists": 1, "webhooks": 0}
        assert caller.get("/_emulator/counters/").json == expected
        assert emulator.counters == expected


class TestFinish:
    @pytest.mark.parametrize(
        ("body", "status"), [(None, "done"), ({"status": "failed"}, "failed"), ({}, "done")]
    )
    def test_ends_a_generation(
        self, emulator: Emulator, caller: Caller, body: Any, status: str
    ) -> None:
        emulator.switches.set(stuck=True)
        created = caller.create().json["id"]
        path = f"/_emulator/generations/{created}/finish/"
        assert caller.post(path, body=body).json["status"] == status
        assert caller.detail(created).json["status"] == status

    @pytest.mark.parametrize("body", [{"status": "running"}, {"failed_reason": 3}, []], ids=str)
    def test_refuses_other_ends(self, emulator: Emulator, caller: Caller, body: Any) -> None:
        created = caller.create().json["id"]
        path = f"/_emulator/generations/{created}/finish/"
        assert caller.post(path, body=body).status == 400

    @pytest.mark.parametrize(
        "path",
        ["/_emulator/generations/00000000-0000-4000-8000-000000000000/finish/", "/_emulator/x/"],
    )
    def test_knows_only_what_there_is(self, caller: Caller, path: str) -> None:
        assert caller.post(path).status == 404


class TestConcurrency:
    def test_latency_of_one_call_does_not_hold_up_another(
        self, emulator: Emulator, caller: Caller
    ) -> None:
        emulator.switches.set(latency=60, times=1)
        slow = Caller(emulator)
        waiting = threading.Thread(target=self.give_up, args=(slow,), daemon=True)
        waiting.start()
        assert eventually(lambda: len(emulator.requests) == 1)
        assert caller.get(COLLECTION).status == 200

    def give_up(self, slow: Caller) -> None:
        try:
            slow.get(COLLECTION)
        except OSError:
            slow.close()

    def test_counts_every_create_of_many_callers(self, emulator: Emulator) -> None:
        def create_many() -> None:
            caller = Caller(emulator)
            for _ in range(25):
                assert caller.create().status == 201
            caller.close()

        callers = [threading.Thread(target=create_many) for _ in range(16)]
        for thread in callers:
            thread.start()
        for thread in callers:
            thread.join()
        assert emulator.counters["creates"] == 400
        assert len({generation.id for generation in emulator.generations}) == 400
        assert eventually(lambda: all(each.status == "done" for each in emulator.generations))


class TestCallers:
    @pytest.mark.parametrize("path", [COLLECTION, SWITCHES_PATH])
    @pytest.mark.parametrize(
        "headers",
        [{"Host": "evil.example"}, {"Origin": "https://evil.example"}],
        ids=["host", "origin"],
    )
    def test_from_elsewhere_are_refused(
        self, emulator: Emulator, caller: Caller, path: str, headers: dict[str, str]
    ) -> None:
        reply = caller.get(path, headers=headers)
        assert reply.status == 403
        assert "evil.example" in reply.json["error"]
        assert emulator.requests == []

    @pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
    @pytest.mark.parametrize("path", [SWITCHES_PATH, "/_emulator/reset/"])
    def test_that_send_no_json_change_nothing(
        self, emulator: Emulator, caller: Caller, path: str, kind: str
    ) -> None:
        emulator.switches.set(stuck=True)
        reply = caller.post(path, body={"stuck": False}, headers={"Content-Type": kind})
        assert reply.status == 415
        assert "application/json" in reply.json["error"]
        assert emulator.switches.settings.stuck
