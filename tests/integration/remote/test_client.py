"""The client on real sockets: what it sends, what it makes of answers, and of none."""

from __future__ import annotations

import base64
import gc
import gzip
import hashlib
import io
import json
import logging
import socket
import threading
import time
import traceback
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO

import pytest

from creatify_textgen.exceptions import (
    ContractError,
    RateLimitedError,
    RemoteError,
    RemoteRejectedError,
    RemoteUnavailableError,
    RequestError,
)
from creatify_textgen.remote import (
    Credentials,
    GenerationRequest,
    RemoteClient,
    RemoteGeneration,
    Timeouts,
)
from creatify_textgen.remote.transport import WatchedAdapter
from tests.integration.remote.conftest import API_ID, API_KEY, SHORT, Serve
from tests.integration.remote.server import Connection, Script

ID = "a1b2c3d4-5678-90ab-cdef-1234567890ab"
PENDING = json.dumps({"id": ID, "status": "pending", "credits_used": 0})
WEBHOOK_URL = "https://site.example/hooks/token-4242/"


def a_request(**fields: object) -> GenerationRequest:
    values: dict[str, object] = {
        "model_name": "gemini-2.5-flash",
        "messages": [{"role": "user", "content": "Grüße"}],
    }
    return GenerationRequest(**{**values, **fields})  # type: ignore[arg-type]


def answer(status: int, body: str = "", **headers: str) -> Script:
    return lambda connection: connection.answer(status, body, **headers)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


class TestCreate:
    def test_posts_the_request_with_both_keys(self, serve: Serve) -> None:
        client, server = serve(answer(201, PENDING))

        created = client.create(a_request(webhook_url=WEBHOOK_URL))

        received = server.requests[0]
        assert (created.id, created.status) == (ID, "pending")
        assert received.line == "POST /sse/text_generator/ HTTP/1.1"
        assert received.headers["x-api-id"] == API_ID
        assert received.headers["x-api-key"] == API_KEY
        assert received.headers["content-type"] == "application/json"
        assert received.headers["content-length"] == str(len(received.body))
        assert "transfer-encoding" not in received.headers
        assert json.loads(received.body) == {
            "model_name": "gemini-2.5-flash",
            "messages": [{"role": "user", "content": "Grüße"}],
            "webhook_url": WEBHOOK_URL,
        }

    def test_uses_a_connection_for_each(self, serve: Serve) -> None:
        client, server = serve(answer(201, PENDING))

        client.create(a_request())
        client.create(a_request())

        assert server.connections == 2

    def test_adds_no_authorization_of_a_netrc_file(
        self, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("default login someone password secret\n")
        monkeypatch.setenv("NETRC", str(netrc))
        client, server = serve(answer(201, PENDING))

        client.create(a_request())

        assert "authorization" not in server.requests[0].headers

    def test_sends_media_with_their_length(self, serve: Serve) -> None:
        content = bytes(range(256)) * 4096 + b"x"

        @dataclass
        class Video:
            size: int = len(content)

            def open(self) -> BinaryIO:
                return io.BytesIO(content)

        client, server = serve(answer(201, PENDING))
        part = {"type": "video", "mime_type": "video/mp4", "data": Video()}

        client.create(a_request(messages=[{"role": "user", "content": [part]}]))

        received = server.requests[0]
        assert received.headers["content-length"] == str(len(received.body))
        sent = json.loads(received.body)["messages"][0]["content"][0]
        assert base64.b64decode(sent["data"]) == content

    def test_reports_a_medium_that_breaks_off(self, serve: Serve) -> None:
        class Video:
            size = 10_000_000

            def open(self) -> BinaryIO:
                return io.BytesIO(b"too short")

        client, _server = serve(answer(201, PENDING))
        part = {"type": "video", "mime_type": "video/mp4", "data": Video()}

        with pytest.raises(RequestError):
            client.create(a_request(messages=[{"role": "user", "content": [part]}]))

    def test_drops_the_echo_of_media(self, serve: Serve) -> None:
        echo = json.dumps(
            {
                "id": ID,
                "status": "done",
                "messages": [
                    {"role": "user", "content": [{"type": "image", "data": "A" * 3_000_000}]}
                ],
                "response_text": "fine",
            }
        )
        client, _server = serve(answer(201, echo), max_answer_bytes=100_000)

        created = client.create(a_request())

        assert created.response_text == "fine"
        digest = hashlib.sha256(base64.b64decode("A" * 3_000_000)).hexdigest()
        part = {"type": "image", "sha256": digest}
        assert created.messages == [{"role": "user", "content": [part]}]

    @pytest.mark.parametrize(
        ("script", "kind", "code"),
        [
            (answer(400, '{"error": "no"}'), RemoteRejectedError, "invalid_request"),
            (answer(402), RemoteRejectedError, "insufficient_credits"),
            (answer(401, '{"detail": "no"}'), RemoteRejectedError, "authentication"),
            (answer(429, Retry_After="7"), RateLimitedError, "rate_limited"),
            (answer(500, "Internal Server Error"), RemoteUnavailableError, "remote_unavailable"),
            (answer(502, "<html>"), RemoteUnavailableError, "remote_unavailable"),
            (answer(307, Location="/elsewhere"), ContractError, "unreadable_answer"),
            (answer(201, "<html>"), ContractError, "unreadable_answer"),
            (answer(201, ""), ContractError, "unreadable_answer"),
            (answer(200, '{"status": "done"}'), ContractError, "unreadable_answer"),
        ],
        ids=["400", "402", "401", "429", "500", "502", "307", "html", "empty", "no id"],
    )
    def test_raises_what_an_answer_means(
        self, serve: Serve, script: Script, kind: type[RemoteError], code: str
    ) -> None:
        client, server = serve(script)

        with pytest.raises(kind) as caught:
            client.create(a_request())

        assert (caught.value.code, caught.value.request_sent) == (code, True)
        assert len(server.requests) == 1

    def test_waits_as_long_as_asked(self, serve: Serve) -> None:
        client, _server = serve(answer(429, Retry_After="Sun, 22 Nov 2099 17:00:30 GMT"))

        with pytest.raises(RateLimitedError) as caught:
            client.create(a_request())

        expected = datetime(2099, 11, 22, 17, 0, 30, tzinfo=UTC) - datetime.now(UTC)
        assert caught.value.retry_after == pytest.approx(expected.total_seconds(), abs=60)

    def test_does_not_take_the_keys_to_a_redirects_target(self, serve: Serve) -> None:
        _other, stranger = serve(answer(201, PENDING))
        client, _server = serve(answer(307, Location=f"{stranger.url}/sse/text_generator/"))

        with pytest.raises(ContractError, match="redirects") as caught:
            client.create(a_request())

        assert stranger.url in str(caught.value)
        assert stranger.requests == []

    def test_unpacks_no_bomb(self, serve: Serve) -> None:
        """Nobody asked for compression, and 200 kB of it can stand for 200 MB."""
        bomb = gzip.compress(b" " * 200_000_000)
        client, _server = serve(
            lambda connection: connection.answer(201, bomb, Content_Encoding="gzip"),
            max_answer_bytes=1_000_000,
            timeouts=Timeouts(read=20),
        )

        tracemalloc.start()
        with pytest.raises(ContractError, match="above"):
            client.create(a_request())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

        assert peak < 16_000_000

    def test_refuses_an_answer_above_the_cap(self, serve: Serve) -> None:
        body = json.dumps({"id": ID, "response_text": "x" * 10_000})
        client, _server = serve(answer(201, body), max_answer_bytes=5_000)

        with pytest.raises(ContractError, match="above"):
            client.create(a_request())


def reset(connection: Connection) -> None:
    connection.reset()


def hang(connection: Connection) -> None:
    connection.hang()


def close(connection: Connection) -> None:
    """Return without a word, which ends the connection of a create."""


def drip_headers(connection: Connection) -> None:
    connection.send("HTTP/1.1 201 Created\r\n")
    connection.drip("X-Slow: yes\r\n", 0.05)


def drip_body(connection: Connection) -> None:
    connection.send("HTTP/1.1 201 Created\r\n\r\n")
    connection.drip(" ", 0.05)


def drip_chunked(connection: Connection) -> None:
    connection.send("HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n")
    connection.drip(" ", 0.05)


def cut_body(connection: Connection) -> None:
    connection.send(f"HTTP/1.1 201 Created\r\nContent-Length: 1000\r\n\r\n{PENDING}")


class TestNoAnswer:
    @pytest.mark.parametrize(
        "script", [reset, hang, close, cut_body], ids=["reset", "silence", "closed", "cut body"]
    )
    def test_was_sent_all_the_same(self, serve: Serve, script: Script) -> None:
        client, server = serve(script)

        with pytest.raises(RemoteUnavailableError) as caught:
            client.create(a_request())

        assert caught.value.request_sent
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        "script", [drip_headers, drip_body, drip_chunked], ids=["headers", "body", "chunked"]
    )
    @pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
    def test_ends_a_drip_at_the_deadline(self, serve: Serve, script: Script, *, sync: bool) -> None:
        timeouts = Timeouts(connect=0.2, read=0.4, sync=0.4)
        client, _server = serve(script, timeouts=timeouts)
        started = time.monotonic()

        with pytest.raises(RemoteUnavailableError) as caught:
            client.create(a_request(sync=sync))

        assert caught.value.request_sent
        assert time.monotonic() - started < 5

    def test_was_not_sent_where_nobody_listens(self) -> None:
        client = RemoteClient(Credentials(API_ID, API_KEY, f"http://127.0.0.1:{closed_port()}"))

        with pytest.raises(RemoteUnavailableError, match="nothing was sent") as caught:
            client.create(a_request())

        assert not caught.value.request_sent

    def test_was_not_sent_where_the_name_is_unknown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def unknown(*_arguments: object, **_options: object) -> None:
            raise socket.gaierror("unknown")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        client = RemoteClient(Credentials(API_ID, API_KEY, "http://nowhere.invalid"))

        with pytest.raises(RemoteUnavailableError, match=r"NameResolution|gaierror") as caught:
            client.create(a_request())

        assert not caught.value.request_sent

    def test_was_not_sent_where_tls_fails(self, serve: Serve) -> None:
        _client, server = serve(answer(201, PENDING))
        secure = server.url.replace("http://", "https://")
        client = RemoteClient(Credentials(API_ID, API_KEY, secure), timeouts=SHORT)

        with pytest.raises(RemoteUnavailableError) as caught:
            client.create(a_request())

        assert not caught.value.request_sent
        assert API_KEY not in str(server.requests)

    def test_was_not_sent_where_connecting_takes_too_long(self) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
            address = listener.getsockname()
            # Full queues: the kernel does not answer who comes after these.
            waiting = [socket.socket() for _ in range(4)]
            for waiter in waiting:
                waiter.setblocking(False)
                waiter.connect_ex(address)
            client = RemoteClient(
                Credentials(API_ID, API_KEY, f"http://127.0.0.1:{address[1]}"),
                timeouts=Timeouts(connect=0.2, read=0.2),
            )

            with pytest.raises(RemoteUnavailableError) as caught:
                client.create(a_request())
            for waiter in waiting:
                waiter.close()

        assert not caught.value.request_sent


class TestSecrets:
    @pytest.mark.parametrize(
        "script",
        [
            answer(400, f'{{"error": "bad {API_KEY} of {API_ID} at {WEBHOOK_URL}"}}'),
            answer(201, f"not JSON: {API_KEY} {API_ID} {WEBHOOK_URL}"),
            answer(302, Location=f"https://x.example/{API_KEY}/{API_ID}/"),
            reset,
            hang,
        ],
        ids=["error", "unreadable", "redirect", "reset", "silence"],
    )
    def test_are_nowhere_in_an_error(
        self, serve: Serve, script: Script, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        client, _server = serve(script)

        with pytest.raises(RemoteError) as caught:
            client.create(a_request(webhook_url=WEBHOOK_URL))

        error = caught.value
        shown = "".join(
            traceback.TracebackException.from_exception(error, capture_locals=True).format()
        )
        for secret in (API_ID, API_KEY, "token-4242"):
            assert secret not in caplog.text + repr(client)
            assert secret not in str(error) + repr(error) + error.excerpt
        # Frames of the test itself hold its own constants; those of others must not hold keys.
        assert "urllib3" not in shown
        assert error.__context__ is None

    @pytest.mark.parametrize("call", ["create", "get", "list"])
    def test_are_nowhere_in_an_answer(self, serve: Serve, call: str) -> None:
        reported = f"Your keys are {API_KEY} and {API_ID}."
        echo = [{"role": "user", "content": reported}]
        one = {"id": ID, "response_text": reported, "failed_reason": reported, "messages": echo}
        one |= {"response_function_calls": [{"name": "f", "args": {"key": [API_KEY]}}]}
        client, _server = serve(answer(200, json.dumps([one] if call == "list" else one)))

        found = {
            "create": lambda: client.create(a_request()),
            "get": lambda: client.get(ID),
            "list": lambda: client.list().generations[0],
        }[call]()

        assert found.response_text == "Your keys are [redacted] and [redacted]."
        assert found.failed_reason == found.response_text
        assert found.response_function_calls == [{"name": "f", "args": {"key": ["[redacted]"]}}]
        # A row is recognized by the echo of what it asked.
        assert found.messages == echo

    def test_take_no_short_words_out_of_an_answer(self, serve: Serve) -> None:
        _client, server = serve(answer(200, json.dumps({"id": ID, "response_text": "My id."})))

        assert RemoteClient(Credentials("id", "My", server.url)).get(ID).response_text == "My id."


class TestGet:
    def test_reads_one(self, serve: Serve) -> None:
        client, server = serve(answer(200, PENDING))

        assert client.get(ID).status == "pending"
        assert server.requests[0].line == f"GET /sse/text_generator/{ID}/ HTTP/1.1"

    def test_reuses_its_connection(self, serve: Serve) -> None:
        client, server = serve(answer(200, PENDING))

        for _ in range(3):
            client.get(ID)

        assert server.connections == 1

    def test_shares_connections_between_threads(self, serve: Serve) -> None:
        client, server = serve(answer(200, PENDING))

        for _ in range(3):
            thread = threading.Thread(target=client.get, args=(ID,))
            thread.start()
            thread.join()

        assert server.connections == 1

    def test_has_new_connections_after_a_fork_before_another_thread_asks(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client, _server = serve(answer(200, PENDING))
        parents = client._adapter
        monkeypatch.setattr(client, "_process_id", 0)
        used: list[object] = []

        def make() -> object:
            if not used:
                used.append(None)
                used.append(client._shared_session().adapters["http://"])
            return WatchedAdapter()

        monkeypatch.setattr(client, "_new_adapter", make)
        client.get(ID)
        assert parents not in used

    def test_believes_the_remotes_own_404(self, serve: Serve) -> None:
        client, _server = serve(answer(404, '{"detail": "No Generation matches."}'))

        with pytest.raises(RemoteRejectedError) as caught:
            client.get(ID)

        assert caught.value.code == "not_found"

    @pytest.mark.parametrize("body", ["Not Found", "<html>404</html>", ""])
    def test_does_not_believe_others(self, serve: Serve, body: str) -> None:
        client, _server = serve(answer(404, body))

        with pytest.raises(RemoteUnavailableError):
            client.get(ID)

    def test_refuses_another_generation(self, serve: Serve) -> None:
        client, _server = serve(answer(200, '{"id": "other", "status": "done"}'))

        with pytest.raises(ContractError):
            client.get(ID)

    @pytest.mark.parametrize("remote_id", ["", "..", "a/b", "a?b"])
    def test_asks_for_nothing_but_ids(self, serve: Serve, remote_id: str) -> None:
        client, server = serve(answer(200, PENDING))

        with pytest.raises(RequestError):
            client.get(remote_id)

        assert server.requests == []

    @pytest.mark.parametrize("script", [reset, hang], ids=["reset", "silence"])
    def test_translates_what_goes_wrong(self, serve: Serve, script: Script) -> None:
        client, _server = serve(script)

        with pytest.raises(RemoteUnavailableError):
            client.get(ID)

    def test_ends_a_dripping_body(self, serve: Serve) -> None:
        client, _server = serve(drip_body, timeouts=Timeouts(connect=0.5, read=0.5))
        started = time.monotonic()

        with pytest.raises(RemoteUnavailableError):
            client.get(ID)

        assert time.monotonic() - started < 5

    def test_works_on_after_close(self, serve: Serve) -> None:
        client, _server = serve(answer(200, PENDING))

        client.get(ID)
        client.close()

        assert client.get(ID).id == ID


class TestList:
    def test_reads_an_array(self, serve: Serve) -> None:
        client, server = serve(answer(200, f"[{PENDING}, {PENDING}]"))

        assert [found.id for found in client.list().generations] == [ID, ID]
        assert server.requests[0].line == "GET /sse/text_generator/ HTTP/1.1"

    @pytest.mark.parametrize(
        "place",
        [
            lambda url: f"{url}/sse/text_generator/?page=2",
            lambda url: f"{url}/sse/text_generator/?page=2".replace("http://", "https://"),
            lambda _url: "/sse/text_generator/?page=2",
            lambda _url: "?page=2",
        ],
        ids=["absolute", "other scheme", "path", "query"],
    )
    def test_follows_pages_on_its_own_host(self, serve: Serve, place: Callable[[str], str]) -> None:
        pages: list[str] = []
        client, server = serve(*[lambda connection: connection.answer(200, pages.pop(0))])
        pages += [
            json.dumps({"next": place(server.url), "results": [json.loads(PENDING)]}),
            json.dumps({"next": None, "results": [{"id": "second"}]}),
        ]

        assert [found.id for found in client.list().generations] == [ID, "second"]
        assert server.requests[1].line == "GET /sse/text_generator/?page=2 HTTP/1.1"

    @pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/x", "http://["])
    def test_follows_none_elsewhere(self, serve: Serve, target: str) -> None:
        client, server = serve(answer(200, json.dumps({"results": [], "next": target})))

        with pytest.raises(ContractError):
            client.list()

        assert len(server.requests) == 1

    def test_does_not_go_round_in_circles(self, serve: Serve) -> None:
        body = f'{{"results": [{PENDING}], "next": "/sse/text_generator/?p=1"}}'
        client, server = serve(answer(200, body))

        assert not client.list().is_complete
        assert len(server.requests) == 2

    @pytest.mark.parametrize("rest", ["", f", {PENDING[:20]}"], ids=["behind", "inside an item"])
    def test_keeps_what_came_before_a_break(self, serve: Serve, rest: str) -> None:
        def cut(connection: Connection) -> None:
            connection.send(f"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[{PENDING}{rest}")
            connection.end()

        client, _server = serve(cut)
        listing = client.list()

        assert [found.id for found in listing.generations] == [ID]
        assert not listing.is_complete

    def test_keeps_what_was_on_the_pages_before(self, serve: Serve) -> None:
        first = f'{{"results": [{PENDING}], "next": "?page=2"}}'
        client, _server = serve(answer(200, first), answer(502))

        listing = client.list()

        assert [found.id for found in listing.generations] == [ID]
        assert getattr(listing.failure, "status", None) == 502

    @pytest.mark.parametrize(
        ("status", "headers"),
        [(206, {}), (200, {"Age": "9"}), (200, {"Link": '<?page=2>; rel="next"'})],
        ids=["part", "stored copy", "first page"],
    )
    def test_knows_an_answer_that_is_not_the_whole_list(
        self, serve: Serve, status: int, headers: dict[str, str]
    ) -> None:
        client, _server = serve(answer(status, f"[{PENDING}]", **headers))

        listing = client.list()

        assert ([found.id for found in listing.generations], listing.is_whole) == ([ID], False)

    def test_gives_the_remotes_clock(self, serve: Serve) -> None:
        client, _server = serve(answer(200, "[]", Date="Sun, 22 Nov 2026 17:00:30 GMT"))
        before = time.monotonic()

        (clock,) = client.list().clocks

        assert clock.served_at == datetime(2026, 11, 22, 17, 0, 30, tzinfo=UTC)
        assert before <= clock.asked_at <= clock.received_at <= time.monotonic()

    @pytest.mark.parametrize(
        "date", ["", "yesterday", "Sun, 22 Nov 2026 17:00:30", "Fri, 31 Dec 9999 23:59:59 -0100"]
    )
    def test_gives_no_clock_that_cannot_be_read(self, serve: Serve, date: str) -> None:
        client, _server = serve(answer(200, "[]", Date=date))

        assert client.list().clocks == ()

    def test_does_not_take_half_a_list_for_one(self, serve: Serve) -> None:
        is_read = threading.Event()

        def cut(connection: Connection) -> None:
            connection.send(f"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[{PENDING},")
            # A reset discards what is still on its way.
            assert is_read.wait(10)
            connection.reset()

        def keep(_: RemoteGeneration) -> bool:
            is_read.set()
            return True

        client, _server = serve(cut)
        listing = client.list(keep)

        assert [found.id for found in listing.generations] == [ID]
        assert isinstance(listing.failure, RemoteUnavailableError)


class TestRemainingCredits:
    def test_reads_the_balance(self, serve: Serve) -> None:
        client, server = serve(answer(200, '{"remaining_credits": 379.0}'))

        assert client.remaining_credits() == Decimal("379.0")
        assert server.requests[0].line == "GET /api/remaining_credits/ HTTP/1.1"

    @pytest.mark.parametrize(
        "script", [hang, drip_headers, drip_body], ids=["silence", "headers", "body"]
    )
    def test_ends_at_the_given_time(self, serve: Serve, script: Script) -> None:
        client, _server = serve(script, timeouts=Timeouts(connect=30, read=30))
        started = time.monotonic()

        with pytest.raises(RemoteUnavailableError):
            client.remaining_credits(seconds=0.3)

        assert time.monotonic() - started < 5

    def test_refuses_none(self, serve: Serve) -> None:
        client, _server = serve(answer(200, "{}"))

        with pytest.raises(ContractError) as caught:
            client.remaining_credits()

        assert (caught.value.status, caught.value.excerpt) == (200, "{}")


class TestLeaks:
    def test_leaves_no_open_socket(self, serve: Serve, recwarn: pytest.WarningsRecorder) -> None:
        client, _server = serve(answer(201, PENDING))

        client.create(a_request())
        gc.collect()

        assert not [entry for entry in recwarn if entry.category is ResourceWarning]
