"""The lying remote itself: what the real client sees of it, and that no time really passes."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from creatify_textgen.exceptions import RemoteError, RemoteUnavailableError, StreamError
from creatify_textgen.remote import Credentials, GenerationRequest, RemoteClient, transport
from tests.factories import NOW
from tests.faults.lying_remote import LyingRemote
from tests.faults.remote_double import KilledError

ROW = uuid.UUID(int=7)


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Iterator[LyingRemote]:
    lying = LyingRemote(start=NOW)
    monkeypatch.setattr(transport, "new_session", lying.session)
    yield lying
    lying.close()


@pytest.fixture
def client(remote: LyingRemote) -> RemoteClient:
    return RemoteClient(Credentials("id", "key", "https://remote.example"))


def request_of(prompt: str = "alpha", **fields: Any) -> GenerationRequest:
    messages = [{"role": "user", "content": prompt}]
    url = f"https://app.example/hooks/{ROW}/token/"
    return GenerationRequest("gemini-2.5-flash", messages, webhook_url=url, **fields)


def read_list(remote: LyingRemote, client: RemoteClient) -> bytes:
    """Let the client read the list, and return what was true of it; nothing if it was no list."""
    before = len(remote.lists)
    read = [each.id for each in client.list().generations]
    if len(remote.lists) == before:
        return b""
    body = remote.lists[-1].body
    assert all(each.encode() in body for each in read)
    return body


class TestCreate:
    def test_goes_on_in_virtual_time(self, remote: LyingRemote, client: RemoteClient) -> None:
        started = time.monotonic()
        created = client.create(request_of())
        statuses = [created.status]
        for seconds in (6, 86_400 * 400):
            remote.pass_time(seconds)
            statuses.append(client.get(created.id).status)
        assert statuses == ["pending", "running", "done"]
        assert remote.now() - NOW == timedelta(seconds=6, days=400)
        assert time.monotonic() - started < 5

    def test_is_attributed_to_the_row_that_its_webhook_names(
        self, remote: LyingRemote, client: RemoteClient
    ) -> None:
        created = client.create(request_of())
        assert [each.remote_id for each in remote.accepted[ROW]] == [created.id]

    def test_leaves_its_webhooks_to_the_caller(
        self, remote: LyingRemote, client: RemoteClient
    ) -> None:
        created = client.create(request_of())
        remote.pass_time(60)
        [(url, body)] = remote.outbox
        assert str(ROW) in url
        assert created.id.encode() in body

    @pytest.mark.parametrize(
        ("fault", "accepted"),
        [("refused_503", 0), ("never_connected", 0), ("lost_before", 0), ("lost_after", 1)],
    )
    def test_may_fail(
        self, remote: LyingRemote, client: RemoteClient, fault: str, accepted: int
    ) -> None:
        remote.faults.append(fault)
        with pytest.raises(RemoteError):
            client.create(request_of())
        assert len(remote.accepted[ROW]) == accepted
        assert client.create(request_of()).status == "pending"

    @pytest.mark.parametrize(("fault", "accepted"), [("killed_before", 0), ("killed_after", 1)])
    def test_may_not_be_survived(
        self, remote: LyingRemote, client: RemoteClient, fault: str, accepted: int
    ) -> None:
        remote.faults.append(fault)
        with pytest.raises(KilledError):
            client.create(request_of())
        assert len(remote.accepted[ROW]) == accepted

    def test_may_be_stored_after_a_gateway_gave_up(
        self, remote: LyingRemote, client: RemoteClient
    ) -> None:
        remote.switches.set(error_after_accept="504", store_delay=40)
        with pytest.raises(RemoteUnavailableError):
            client.create(request_of())
        assert b"model_name" not in read_list(remote, client)
        remote.pass_time(41)
        assert b"model_name" in read_list(remote, client)

    def test_may_be_answered_too_late(self, remote: LyingRemote, client: RemoteClient) -> None:
        remote.switches.set(answer_delay=1000)
        with pytest.raises(RemoteUnavailableError):
            client.create(request_of())
        assert len(remote.accepted[ROW]) == 1
        assert timedelta(seconds=5) < remote.now() - NOW < timedelta(seconds=900)

    def test_may_take_time_to_upload(self, remote: LyingRemote, client: RemoteClient) -> None:
        remote.switches.set(upload_rate=20)
        seen = []
        remote.meanwhile = lambda: seen.append(remote.now())
        client.create(request_of())
        assert NOW < seen[0] < remote.now()
        assert remote.meanwhile is None

    def test_is_cut_by_the_deadline_of_the_client(
        self, remote: LyingRemote, client: RemoteClient
    ) -> None:
        remote.switches.set(upload_rate=1)
        with pytest.raises(RemoteUnavailableError) as caught:
            client.create(request_of("long " * 500))
        assert caught.value.request_sent
        assert not remote.accepted[ROW]


class TestStream:
    def open(self, remote: LyingRemote, client: RemoteClient, fault: str) -> str:
        remote.row = ROW
        remote.faults.append(fault)
        request = GenerationRequest("gemini-2.5-flash", request_of().messages)
        with client.stream(request) as stream:
            return "".join(chunk.text for chunk in stream)

    def test_is_read_to_its_end(self, remote: LyingRemote, client: RemoteClient) -> None:
        text = self.open(remote, client, "none")
        [accepted] = remote.accepted[ROW]
        assert remote.generations[accepted.remote_id].response_text == text != ""

    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            ("cut", StreamError),
            ("error_inside", StreamError),
            ("killed_inside", KilledError),
            ("killed_at_the_end", KilledError),
        ],
    )
    def test_may_fail(
        self,
        remote: LyingRemote,
        client: RemoteClient,
        fault: str,
        error: type[BaseException],
    ) -> None:
        with pytest.raises(error):
            self.open(remote, client, fault)
        assert len(remote.accepted[ROW]) == 1


class TestProof:
    def lists_at(self, remote: LyingRemote, client: RemoteClient, *seconds: int) -> None:
        for each in seconds:
            remote.pass_time(each)
            read_list(remote, client)

    def proved(self, remote: LyingRemote) -> bool:
        [accepted] = remote.accepted[ROW]
        return remote.proved_absent(accepted, until=remote.now())

    @pytest.fixture
    def lost(self, remote: LyingRemote, client: RemoteClient) -> None:
        remote.switches.set(store_delay=86_400)
        client.create(request_of())

    @pytest.mark.usefixtures("lost")
    def test_is_two_lists_ten_minutes_apart(
        self, remote: LyingRemote, client: RemoteClient
    ) -> None:
        self.lists_at(remote, client, 1, 500)
        assert not self.proved(remote)
        self.lists_at(remote, client, 101)
        assert self.proved(remote)

    @pytest.mark.usefixtures("lost")
    @pytest.mark.parametrize(
        "lie",
        [
            {"list_limit": 1},
            {"list_damage": "strange_items"},
            {"workspace": "another"},
            {"error_at_list": "404"},
        ],
        ids=str,
    )
    def test_is_no_list_that_is_incomplete(
        self, remote: LyingRemote, client: RemoteClient, lie: dict[str, Any]
    ) -> None:
        remote.switches.set(**lie)
        with suppress(RemoteError):
            self.lists_at(remote, client, 1)
        with suppress(RemoteError):
            self.lists_at(remote, client, 700)
        assert not self.proved(remote)

    def test_is_no_list_that_holds_it(self, remote: LyingRemote, client: RemoteClient) -> None:
        remote.switches.set(echo_changes="messages_missing")
        client.create(request_of())
        self.lists_at(remote, client, 1, 700)
        assert not self.proved(remote)
