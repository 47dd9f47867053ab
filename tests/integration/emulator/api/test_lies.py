"""What the emulator can falsify: its clock, its list, its echoes, its ids."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from creatify_textgen.emulator import Emulator
from tests.integration.emulator.calling import (
    COLLECTION,
    CREDITS,
    KEYS,
    STREAM,
    Caller,
    Receiver,
    eventually,
    request_with,
)

HOUR = timedelta(hours=1)
TOLERANCE = timedelta(seconds=30)


def created_ids(caller: Caller, *, count: int) -> list[str]:
    """Create so many generations and return their ids, oldest first."""
    return [str(caller.create(content=f"number {index}").json["id"]) for index in range(count)]


def listed_ids(caller: Caller) -> list[str]:
    return [each["id"] for each in caller.get(COLLECTION).json]


class TestClock:
    def assert_ahead(self, moment: datetime, *, by: timedelta) -> None:
        assert abs(moment - datetime.now(UTC) - by) < TOLERANCE

    @pytest.mark.parametrize("offset", [HOUR, -HOUR], ids=["ahead", "behind"])
    def test_is_followed_by_date_and_created_at(
        self, emulator: Emulator, caller: Caller, offset: timedelta
    ) -> None:
        emulator.switches.set(clock_offset=offset.total_seconds())
        reply = caller.create()
        self.assert_ahead(parsedate_to_datetime(reply.headers["Date"]), by=offset)
        self.assert_ahead(datetime.fromisoformat(reply.json["created_at"]), by=offset)

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("GET", COLLECTION, None),
            ("GET", CREDITS, None),
            ("POST", STREAM, request_with()),
            ("POST", COLLECTION, {}),
            ("GET", "/nowhere/", None),
        ],
        ids=["list", "credits", "stream", "refusal", "unknown"],
    )
    def test_is_in_every_answer(self, caller: Caller, method: str, path: str, body: Any) -> None:
        date = caller.call(method, path, body=body).headers["Date"]
        self.assert_ahead(parsedate_to_datetime(date), by=timedelta())

    def test_may_be_missing(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(date_header="none")
        assert "Date" not in caller.get(COLLECTION).headers

    def test_is_followed_by_a_date_in_retry_after(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(clock_offset=3600, error_at_list="429", retry_after="date")
        headers = caller.get(COLLECTION).headers
        self.assert_ahead(parsedate_to_datetime(headers["Retry-After"]), by=HOUR)

    def test_leaves_the_log_at_the_real_time(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(clock_offset=3600)
        caller.create()
        self.assert_ahead(emulator.requests[-1].time, by=timedelta())


class TestStoreDelay:
    def test_keeps_what_was_accepted_from_everyone_at_first(
        self, emulator: Emulator, caller: Caller, receiver: Receiver
    ) -> None:
        emulator.switches.set(store_delay=0.3)
        accepted = caller.create(webhook_url=receiver.url).json
        assert caller.detail(accepted["id"]).status == 404
        assert listed_ids(caller) == []
        assert emulator.counters["creates"] == 1

        assert receiver.next()["id"] == accepted["id"]
        stored = caller.detail(accepted["id"]).json
        later = datetime.fromisoformat(stored["created_at"]) - datetime.fromisoformat(
            accepted["created_at"]
        )
        assert timedelta(seconds=0.25) < later < TOLERANCE
        assert stored["status"] == "done"
        assert listed_ids(caller) == [accepted["id"]]

    @pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
    def test_may_come_after_a_gateway_gave_up(
        self, emulator: Emulator, caller: Caller, sync: bool
    ) -> None:
        emulator.switches.set(store_delay=0.2, error_after_accept="504")
        assert caller.create(sync=sync).status == 504
        assert listed_ids(caller) == []
        assert eventually(
            lambda: [each["status"] for each in caller.get(COLLECTION).json] == ["done"]
        )

    def test_holds_for_streams(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(store_delay=0.2)
        caller.post(STREAM, body=request_with())
        assert listed_ids(caller) == []
        assert eventually(lambda: len(listed_ids(caller)) == 1)

    def test_ends_with_a_reset(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(store_delay=0.05)
        caller.create()
        emulator.reset()
        time.sleep(0.1)
        assert listed_ids(caller) == []


class TestUploadRate:
    @pytest.mark.parametrize("size", [20_000, 400_000], ids=["one-block", "many-blocks"])
    def test_makes_an_upload_take_its_time(
        self, emulator: Emulator, caller: Caller, size: int
    ) -> None:
        emulator.switches.set(upload_rate=size * 4)
        started = time.monotonic()
        assert caller.create(content="x" * size).status == 201
        assert 0.2 < time.monotonic() - started < 5

    def test_leaves_requests_without_a_body_and_control_alone(
        self, emulator: Emulator, caller: Caller
    ) -> None:
        emulator.switches.set(upload_rate=1)
        assert caller.get(COLLECTION).status == 200
        assert caller.post("/_emulator/switches/", body={"upload_rate": 0}).status == 200

    def test_still_refuses_what_is_malformed(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(upload_rate=1_000_000)
        reply = caller.call(
            "POST",
            COLLECTION,
            body=b"zz\r\nnot a chunk\r\n",
            headers={"Transfer-Encoding": "chunked"},
        )
        assert reply.status == 400


class TestList:
    @pytest.mark.parametrize(
        ("keep", "order", "kept"),
        [
            ("newest", "newest", [3, 2]),
            ("newest", "oldest", [2, 3]),
            ("oldest", "newest", [1, 0]),
            ("oldest", "oldest", [0, 1]),
            ("first", "newest", [3, 2]),
            ("first", "oldest", [0, 1]),
        ],
    )
    def test_is_cut_short_at_either_end(
        self, emulator: Emulator, caller: Caller, keep: str, order: str, kept: list[int]
    ) -> None:
        ids = created_ids(caller, count=4)
        emulator.switches.set(list_limit=2, list_keep=keep, list_order=order)
        assert listed_ids(caller) == [ids[index] for index in kept]

    def test_lags_behind_what_was_created(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(list_lag=3600)
        [created] = created_ids(caller, count=1)
        assert caller.detail(created).status == 200
        assert listed_ids(caller) == []
        emulator.switches.set(list_lag=0.01)
        assert eventually(lambda: listed_ids(caller) == [created])

    def test_lags_behind_what_has_ended(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(stuck=True)
        [created] = created_ids(caller, count=1)
        time.sleep(0.25)
        emulator.finish(created)
        emulator.switches.set(list_lag=0.2)
        [listed] = caller.get(COLLECTION).json
        assert (listed["status"], listed["response_text"], listed["credits_used"]) == (
            "running",
            "",
            0,
        )
        assert caller.detail(created).json["status"] == "done"
        assert eventually(lambda: caller.get(COLLECTION).json[0]["status"] == "done")

    def test_holds_items_that_are_no_generations(self, emulator: Emulator, caller: Caller) -> None:
        ids = created_ids(caller, count=2)
        emulator.switches.set(list_damage="strange_items")
        items = caller.get(COLLECTION).json
        assert len(items) == 6
        assert [each["id"] for each in items[2:4]] == ids[::-1]

    def test_holds_its_newest_generation_unreadably(
        self, emulator: Emulator, caller: Caller
    ) -> None:
        old, new = created_ids(caller, count=2)
        emulator.switches.set(list_damage="unreadable_newest")
        assert [each["id"] for each in caller.get(COLLECTION).json] == [{"uuid": new}, old]

    @pytest.mark.parametrize("style", ["array", "results"])
    def test_breaks_off(self, emulator: Emulator, caller: Caller, style: str) -> None:
        created_ids(caller, count=3)
        emulator.switches.set(list_damage="truncated", list_style=style)
        body = caller.get(COLLECTION).body
        assert b'"id"' in body
        with pytest.raises(ValueError, match=r"."):
            json.loads(body)

    def test_names_no_next_page(self, emulator: Emulator, caller: Caller) -> None:
        ids = created_ids(caller, count=3)
        emulator.switches.set(list_style="results", list_page_size=2, list_next="none")
        page = caller.get(COLLECTION).json
        assert [each["id"] for each in page["results"]] == [ids[2], ids[1]]
        assert page["next"] is None

    @pytest.mark.parametrize("count", [0, 3])
    def test_has_no_last_page(self, emulator: Emulator, caller: Caller, count: int) -> None:
        created_ids(caller, count=count)
        emulator.switches.set(list_style="results", list_page_size=2, list_next="endless")
        path, seen = COLLECTION, []
        for _ in range(5):
            page = caller.get(path).json
            seen.append(page["next"])
            path = page["next"].removeprefix(emulator.url)
            assert bool(page["results"]) is bool(count)
        assert len(set(seen)) == 5

    def test_answers_404_with_a_detail(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(error_at_list="404", error_body="detail")
        reply = caller.get(COLLECTION)
        assert (reply.status, reply.json) == (404, {"detail": "Not found."})


class TestEcho:
    def test_is_changed_in_every_answer(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(echo_changes="config_defaults,messages_missing")
        created = caller.create(config={"seed": 1}).json
        for answer in (created, caller.detail(created["id"]).json, *caller.get(COLLECTION).json):
            assert "messages" not in answer
            assert answer["config"] == {
                "temperature": 1.0, "top_p": 0.95, "candidate_count": 1, "seed": 1,
            }  # fmt: skip

    def test_leaves_the_answer_to_what_was_sent(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(echo_changes=["text_normalized", "model_renamed"])
        created = caller.create(content="two  words", sync=True).json
        assert created["messages"][0]["content"] == "two words"
        assert '"two  words"' in created["response_text"]


class TestEqualCreates:
    def test_are_answered_with_one_id_and_charged_once(
        self, emulator: Emulator, caller: Caller
    ) -> None:
        emulator.switches.set(equal_creates="joined")
        first = caller.create(webhook_url="http://127.0.0.1:9/a/").json
        second = caller.create(webhook_url="http://127.0.0.1:9/b/")
        third = caller.create(sync=True).json
        assert (second.status, second.json["id"], third["id"]) == (201, first["id"], first["id"])
        assert third["status"] == "done"
        assert emulator.counters == emulator.counters | {"creates": 1, "refused": 0}
        assert len(emulator.generations) == 1

    def test_that_differ_are_not(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(equal_creates="joined")
        ids = created_ids(caller, count=2)
        caller.post(STREAM, body=request_with("number 0"))
        assert len({*ids, *listed_ids(caller)}) == 3

    def test_of_other_workspaces_are_not(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(equal_creates="joined")
        other = Caller(emulator, keys={**KEYS, "X-API-ID": "two"})
        assert caller.create().json["id"] != other.create().json["id"]
        other.close()


class TestWorkspace:
    def test_changes_under_the_keys(self, emulator: Emulator, caller: Caller) -> None:
        [own] = created_ids(caller, count=1)
        emulator.switches.set(workspace="another")
        assert caller.detail(own).status == 404
        assert listed_ids(caller) == []
        [foreign] = created_ids(caller, count=1)
        emulator.switches.set(workspace="")
        assert (listed_ids(caller), caller.detail(foreign).status) == ([own], 404)

    def test_still_needs_keys_that_are_known(self, emulator: Emulator, caller: Caller) -> None:
        emulator.switches.set(workspace="another", api_keys="x:y")
        assert caller.get(COLLECTION).status == 401


class TestWebhook:
    def test_names_the_generation_of_another_create(
        self, emulator: Emulator, caller: Caller, receiver: Receiver
    ) -> None:
        [other] = created_ids(caller, count=1)
        emulator.switches.set(webhook="another")
        caller.create(content="mine", webhook_url=receiver.url)
        delivered = receiver.next()
        assert delivered["id"] == other
        assert '"mine"' in delivered["response_text"]

    def test_names_its_own_where_there_is_no_other(
        self, emulator: Emulator, caller: Caller, receiver: Receiver
    ) -> None:
        emulator.switches.set(webhook="another")
        created = caller.create(webhook_url=receiver.url).json
        assert receiver.next()["id"] == created["id"]


class TestCreate:
    @pytest.mark.parametrize(
        ("switch", "accepted"), [("error_at_create", 0), ("error_after_accept", 1)]
    )
    @pytest.mark.parametrize("status", ["200", "500"])
    def test_may_hide_in_any_answer_whether_it_was_accepted(
        self, emulator: Emulator, caller: Caller, switch: str, accepted: int, status: str
    ) -> None:
        emulator.switches.set(**{switch: status})
        replies = [caller.create() for _ in range(3)]
        assert {reply.status for reply in replies} == {int(status)}
        assert emulator.counters["creates"] == accepted * 3
        if status == "200":
            assert {*replies[0].json} == {"error"}
