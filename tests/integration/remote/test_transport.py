"""How long a call may take, what may have left the machine, and connections that were idle."""

from __future__ import annotations

import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import requests
import trustme
import urllib3

from creatify_textgen.exceptions import RemoteError, RemoteUnavailableError
from creatify_textgen.remote import (
    Credentials,
    GenerationRequest,
    PreparedSend,
    RemoteClient,
    RemoteGeneration,
    Timeouts,
    transport,
)
from tests.integration.remote.conftest import API_ID, API_KEY, Serve
from tests.integration.remote.server import Connection, Script

ID = "a1b2c3d4-5678-90ab-cdef-1234567890ab"
PENDING = json.dumps({"id": ID, "status": "pending", "credits_used": 0})
QUICK = Timeouts(connect=0.3, read=0.4, sync=0.4, stream_idle=0.4)


def a_request(prompt: str = "Hello") -> GenerationRequest:
    return GenerationRequest("m", [{"role": "user", "content": prompt}])


def answer(status: int, body: str = "", **headers: str) -> Script:
    return lambda connection: connection.answer(status, body, **headers)


def drip_headers(connection: Connection) -> None:
    connection.send("HTTP/1.1 200 OK\r\n")
    connection.drip("X-Slow: yes\r\n", 0.05)


def drip_body(connection: Connection) -> None:
    connection.send("HTTP/1.1 200 OK\r\n\r\n[" + PENDING)
    connection.drip(" ", 0.05)


def drip_refusal(connection: Connection) -> None:
    connection.send("HTTP/1.1 502 Bad Gateway\r\n\r\n<html>")
    connection.drip(" ", 0.05)


@contextmanager
def ending_within(seconds: float) -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


CALLS: dict[str, Callable[[RemoteClient], object]] = {
    "create": lambda client: client.create(a_request()),
    "stream": lambda client: client.stream(a_request()),
    "get": lambda client: client.get(ID),
    "list": lambda client: client.list(),
    "credits": lambda client: client.remaining_credits(),
}


class TestDeadline:
    @pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
    def test_ends_headers_that_drip(
        self, serve: Serve, call: Callable[[RemoteClient], object]
    ) -> None:
        client, _server = serve(drip_headers, timeouts=QUICK)

        with ending_within(2), pytest.raises(RemoteUnavailableError, match="in time"):
            call(client)

    @pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
    def test_ends_a_refusal_that_drips(
        self, serve: Serve, call: Callable[[RemoteClient], object]
    ) -> None:
        client, _server = serve(drip_refusal, timeouts=QUICK)

        with ending_within(2), pytest.raises(RemoteUnavailableError) as caught:
            call(client)

        assert caught.value.status == 502

    def test_is_one_for_the_whole_list(self, serve: Serve) -> None:
        pages = iter(range(10_000))

        def page(connection: Connection) -> None:
            number = next(pages)
            time.sleep(0.1)
            body = {"results": [{"id": f"r{number}"}], "next": f"?page={number}"}
            connection.answer(200, json.dumps(body))

        client, _server = serve(page, timeouts=QUICK)

        with ending_within(2):
            listing = client.list(seconds=0.7)

        assert [remote.id for remote in listing.generations[:2]] == ["r0", "r1"]
        assert not listing.is_complete

    def test_of_the_list_ends_a_page_that_drips(self, serve: Serve) -> None:
        client, _server = serve(drip_body, timeouts=QUICK)

        with ending_within(2):
            listing = client.list(seconds=0.5)

        assert [remote.id for remote in listing.generations] == [ID]
        assert not listing.is_complete

    def test_lets_a_page_take_longer_than_a_get(self, serve: Serve) -> None:
        def slow(connection: Connection) -> None:
            connection.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[" + PENDING)
            for _ in range(20):
                time.sleep(0.05)
                connection.send(" ")
            connection.send("]")
            connection.end()

        client, _server = serve(slow, timeouts=QUICK)

        assert client.list().is_whole

    @pytest.mark.usefixtures("trusted")
    def test_ends_what_drips_by_tls(self, serve: Serve, encryption: object) -> None:
        client, _server = serve(drip_headers, encryption=encryption, timeouts=QUICK)

        with ending_within(2), pytest.raises(RemoteUnavailableError, match="in time"):
            client.get(ID)


@contextmanager
def slow_reader(*, bytes_per_second: int) -> Iterator[str]:
    """Accept one request, read it no faster than this, and answer it."""

    def read_slowly(listener: socket.socket) -> None:
        peer, _address = listener.accept()
        with peer:
            head = b""
            while b"\r\n\r\n" not in head:
                head += peer.recv(1)
            length = int(head.lower().partition(b"content-length:")[2].split()[0])
            while length > 0:
                received = len(peer.recv(bytes_per_second // 20))
                if not received:
                    return
                length -= received
                time.sleep(0.05)
            body = PENDING.encode()
            peer.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        # Little room on the way, so that the sender notices at once.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
        reader = threading.Thread(target=read_slowly, args=(listener,))
        reader.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        reader.join(10)


class TestCertificates:
    @pytest.fixture
    def read(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Return the files that are read for their certificates."""
        files: list[str] = []
        load = ssl.SSLContext.load_verify_locations

        def note(context: ssl.SSLContext, cafile: str, *rest: object) -> None:
            files.append(cafile)
            load(context, cafile)

        monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", note)
        return files

    @pytest.mark.usefixtures("trusted")
    def test_are_read_once_for_all_connections(
        self, serve: Serve, encryption: ssl.SSLContext, read: list[str]
    ) -> None:
        client, server = serve(answer(201, PENDING), encryption=encryption)
        for _ in range(3):
            client.create(a_request())
        assert (server.connections, len(read)) == (3, 1)

    @pytest.mark.usefixtures("trusted")
    def test_are_read_again_if_the_file_has_changed(
        self, serve: Serve, encryption: ssl.SSLContext
    ) -> None:
        client, _server = serve(answer(201, PENDING), encryption=encryption)
        client.create(a_request())
        Path(os.environ["REQUESTS_CA_BUNDLE"]).write_text("no certificate")
        with pytest.raises(RemoteUnavailableError) as caught:
            client.create(a_request())
        assert not caught.value.request_sent

    @pytest.mark.usefixtures("trusted")
    def test_of_another_authority_are_refused(self, serve: Serve) -> None:
        self.refuse(serve, trustme.CA().issue_cert("127.0.0.1"))

    @pytest.mark.usefixtures("trusted")
    @pytest.mark.parametrize("host", ["remote.example", "127.0.0.2"])
    def test_of_another_host_are_refused(
        self, serve: Serve, authority: trustme.CA, host: str
    ) -> None:
        self.refuse(serve, authority.issue_cert(host))

    @pytest.mark.usefixtures("trusted")
    def test_that_are_trusted_no_more_are_refused(
        self, serve: Serve, encryption: ssl.SSLContext
    ) -> None:
        client, _server = serve(answer(201, PENDING), encryption=encryption)
        client.create(a_request())
        trustme.CA().cert_pem.write_to_path(os.environ["REQUESTS_CA_BUNDLE"])
        with pytest.raises(RemoteUnavailableError, match="nothing was sent"):
            client.create(a_request())

    def test_may_be_in_a_directory(self, tmp_path: Path) -> None:
        pool = urllib3.HTTPSConnectionPool("remote.example")
        transport.WatchedAdapter().cert_verify(pool, "https://remote.example", str(tmp_path), None)
        assert (pool.ca_cert_dir, pool.ca_certs, pool.conn_kw) == (str(tmp_path), None, {})

    def refuse(self, serve: Serve, certificate: trustme.LeafCert) -> None:
        encryption = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(encryption)
        client, server = serve(answer(201, PENDING), encryption=encryption)
        with pytest.raises(RemoteUnavailableError, match="nothing was sent") as caught:
            client.create(a_request())
        assert not caught.value.request_sent
        assert server.requests == []


class TestUpload:
    def test_of_much_text_has_a_timeout_for_each_block(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(transport, "SEND_TIMEOUT_SECONDS", 0.5)
        with slow_reader(bytes_per_second=6 * 1024 * 1024) as url:
            client = RemoteClient(Credentials(API_ID, API_KEY, url))

            started = time.monotonic()
            created = client.create(a_request("x" * 12 * 1024 * 1024))

        assert created.id == ID
        assert time.monotonic() - started > 1

    def test_that_nobody_reads_ends_by_its_deadline(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            client = RemoteClient(Credentials(API_ID, API_KEY, url), timeouts=QUICK)
            send = client.prepare(a_request("x" * 12 * 1024 * 1024))
            hurried = PreparedSend(send.body, seconds=0.5, wait=send.wait)

            with ending_within(3), pytest.raises(RemoteUnavailableError, match="in time") as caught:
                client.create(hurried)

        assert caught.value.request_sent


class TestPreparedSend:
    def test_knows_its_length_and_its_time(self, serve: Serve) -> None:
        client, server = serve(answer(201, PENDING), timeouts=Timeouts(connect=5, read=30))

        send = client.prepare(a_request("x" * 1024 * 1024))
        created = client.create(send)

        assert created.id == ID
        assert server.requests[0].headers["content-length"] == str(len(send.body))
        assert send.seconds == pytest.approx(5 + 30 + len(send.body) / (128 * 1024))

    @pytest.mark.parametrize(("stream", "wait"), [(False, 120), (True, 60)])
    def test_waits_as_its_kind_of_answer_needs(self, *, stream: bool, wait: float) -> None:
        client = RemoteClient(Credentials(API_ID, API_KEY, "http://127.0.0.1:9"))
        request = GenerationRequest("m", [], sync=True)

        assert client.prepare(request, stream=stream).wait == wait

    def test_may_be_a_stream(self, serve: Serve) -> None:
        receipt = f'data: {{"creatify":{{"id":"{ID}","credits_used":1}}}}\n\n'
        client, server = serve(answer(200, receipt))
        send = client.prepare(a_request(), stream=True)

        with closing(client.stream(send)) as stream:
            assert len(list(stream)) == 1

        assert server.requests[0].line.startswith("POST /sse/text_generator/stream/")


class TestNothingSent:
    """What surely never left may be sent again; each of these is found before a byte leaves."""

    def refused(self, url: str = "https://127.0.0.1:9") -> RemoteError:
        client = RemoteClient(Credentials(API_ID, API_KEY, url), timeouts=QUICK)
        with pytest.raises(RemoteUnavailableError, match="nothing was sent") as caught:
            client.create(a_request())
        return caught.value

    def test_for_certificates_that_are_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/authority.pem")

        assert not self.refused().request_sent

    def test_for_certificates_that_cannot_be_read(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, serve: Serve, encryption: object
    ) -> None:
        (tmp_path / "authority.pem").write_text("no certificate")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
        _client, server = serve(answer(201, PENDING), encryption=encryption)

        assert not self.refused(server.url).request_sent
        assert server.requests == []

    def test_to_a_remote_that_is_not_trusted(self, serve: Serve, encryption: object) -> None:
        _client, server = serve(answer(201, PENDING), encryption=encryption)

        assert not self.refused(server.url).request_sent
        assert server.requests == []

    @pytest.mark.parametrize("url", ["http://a..b", "http://" + "a" * 70, "http://127.0.0.1:9"])
    def test_to_a_host_that_cannot_be(self, url: str) -> None:
        assert not self.refused(url).request_sent

    @pytest.mark.parametrize("scheme", ["http", "https"])
    @pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "http://a..b:1", "http://"])
    def test_by_a_proxy_that_is_not_there(
        self, monkeypatch: pytest.MonkeyPatch, proxy: str, scheme: str
    ) -> None:
        self.use_proxy(monkeypatch, proxy)

        assert not self.refused(f"{scheme}://remote.example").request_sent

    @pytest.mark.parametrize(
        "script",
        [answer(407), answer(502), drip_headers, lambda connection: connection.hang()],
        ids=["407", "502", "dripping", "silent"],
    )
    def test_by_a_proxy_that_does_not_let_us_through(
        self, monkeypatch: pytest.MonkeyPatch, serve: Serve, script: Script
    ) -> None:
        _client, proxy = serve(script)
        self.use_proxy(monkeypatch, proxy.url)

        with ending_within(3):
            assert not self.refused("https://remote.example").request_sent
        (request,) = proxy.requests
        assert request.line.startswith("CONNECT remote.example:443 HTTP/1.")
        assert API_KEY not in str(request)

    def test_is_not_said_of_a_request_that_a_proxy_has(
        self, monkeypatch: pytest.MonkeyPatch, serve: Serve
    ) -> None:
        _client, proxy = serve(lambda connection: connection.reset())
        self.use_proxy(monkeypatch, proxy.url)
        client = RemoteClient(Credentials(API_ID, API_KEY, "http://remote.example"))

        with pytest.raises(RemoteUnavailableError) as caught:
            client.create(a_request())

        assert caught.value.request_sent

    def test_is_not_caused_by_a_proxy_for_this_machine(
        self, monkeypatch: pytest.MonkeyPatch, serve: Serve
    ) -> None:
        self.use_proxy(monkeypatch, "http://127.0.0.1:9")
        client, server = serve(answer(201, PENDING), answer(200, PENDING))

        client.create(a_request())
        client.get(ID)
        assert len(server.requests) == 2

    def use_proxy(self, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, url)
            monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.setenv("no_proxy", "")
        monkeypatch.setenv("NO_PROXY", "")


class TestIdleConnection:
    @pytest.mark.parametrize(
        "call", [CALLS["get"], CALLS["list"], CALLS["credits"]], ids=["get", "list", "credits"]
    )
    @pytest.mark.parametrize("end", ["reset", "end"])
    def test_that_broke_is_replaced_by_another(
        self, serve: Serve, call: Callable[[RemoteClient], object], end: str
    ) -> None:
        reply = answer(200, f'{{"results": [{PENDING}], "remaining_credits": 1, "id": "{ID}"}}')
        client, server = serve(
            reply, lambda connection: getattr(connection, end)(), reply, timeouts=QUICK
        )

        client.get(ID)
        call(client)

        assert (len(server.requests), server.connections) == (3, 2)

    def test_is_not_replaced_by_one_that_broke_with_it(self, serve: Serve) -> None:
        """All idle connections may have broken, as behind a balancer that was restarted."""
        together = threading.Barrier(3)

        def wait(connection: Connection) -> None:
            together.wait(5)
            connection.answer(200, PENDING)

        def reset(connection: Connection) -> None:
            connection.reset()

        scripts = [wait, wait, wait, reset, answer(200, PENDING)]
        client, server = serve(*scripts, timeouts=Timeouts(connect=2, read=5))
        threads = [threading.Thread(target=client.get, args=(ID,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert client.get(ID).id == ID
        assert (len(server.requests), server.connections) == (5, 4)

    def test_that_only_falls_silent_is_not(self, serve: Serve) -> None:
        client, server = serve(
            answer(200, PENDING), lambda connection: connection.hang(), timeouts=QUICK
        )
        client.get(ID)

        with pytest.raises(RemoteUnavailableError):
            client.get(ID)

        assert len(server.requests) == 2

    def test_is_never_used_for_a_create(self, serve: Serve) -> None:
        client, server = serve(answer(201, PENDING))

        client.get(ID)
        client.create(a_request())

        assert server.connections == 2


class TestRepeatedGet:
    """A sweep makes hundreds in a second: what is the same for all of them is done once."""

    def test_reads_the_environment_once(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read: list[str] = []

        def note(url: str, **_options: object) -> dict[str, str]:
            read.append(url)
            return {}

        monkeypatch.setattr(requests.sessions, "get_environ_proxies", note)
        client, _server = serve(answer(200, PENDING))
        for _ in range(3):
            client.get(ID)
        assert len(read) == 1

    def test_has_its_own_address_and_the_same_headers(self, serve: Serve) -> None:
        client, server = serve(answer(200, '{"remaining_credits": 1}'), answer(200, PENDING))
        client.remaining_credits()
        client.get(ID)
        first, second = server.requests
        assert ID not in first.line
        assert ID in second.line
        assert first.headers == second.headers


class TestHead:
    """What the remote may write before its answer."""

    @pytest.mark.parametrize("call", [CALLS["create"], CALLS["get"]], ids=["create", "get"])
    def test_is_looked_for_behind_interim_answers(
        self, serve: Serve, call: Callable[[RemoteClient], object]
    ) -> None:
        def early(connection: Connection) -> None:
            connection.send("HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")
            connection.send("HTTP/1.1 102 Processing\r\n\r\n")
            connection.answer(200, PENDING)

        client, _server = serve(early)

        found = call(client)

        assert isinstance(found, RemoteGeneration)
        assert found.id == ID

    def test_ends_by_the_deadline_if_interim_answers_do_not(self, serve: Serve) -> None:
        client, _server = serve(
            lambda connection: connection.drip("HTTP/1.1 103 Early Hints\r\n\r\n", 0.01),
            timeouts=QUICK,
        )

        with ending_within(2), pytest.raises(RemoteUnavailableError):
            client.get(ID)

    @pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
    @pytest.mark.parametrize("place", ["/\xff\xfe", "http://[::1", "//:x/", "http://a:99999999/"])
    def test_with_a_location_that_cannot_be_read_is_an_error_of_the_remote(
        self, serve: Serve, call: Callable[[RemoteClient], object], place: str
    ) -> None:
        def redirect(connection: Connection) -> None:
            connection.send("HTTP/1.1 307 Elsewhere\r\nContent-Length: 0\r\n")
            connection.send(b"Location: " + place.encode("latin-1") + b"\r\n\r\n")

        client, _server = serve(redirect)

        with pytest.raises(RemoteError) as caught:
            call(client)

        assert caught.value.status == 307

    def test_with_a_redirect_leaves_an_endless_body_unread(self, serve: Serve) -> None:
        def redirect(connection: Connection) -> None:
            connection.send("HTTP/1.1 302 Found\r\nLocation: /elsewhere/\r\n\r\n")
            connection.drip("x" * 65536, 0)

        client, _server = serve(redirect, timeouts=Timeouts(connect=5, read=5))

        with ending_within(3), pytest.raises(RemoteError):
            client.get(ID)

    def test_with_cookies_is_not_answered_with_them(self, serve: Serve) -> None:
        client, server = serve(answer(200, PENDING, Set_Cookie="a=b; Path=/"))

        for _ in range(2):
            client.get(ID)

        assert "cookie" not in server.requests[1].headers


class TestBrokenAnswer:
    """The id is the first that a create answers: it is not lost with what follows."""

    @pytest.mark.parametrize(
        "framing", ["Content-Length: 900", "X: y", "Transfer-Encoding: chunked"]
    )
    @pytest.mark.parametrize("length", [8, len(ID) + 8, len(ID) + 9, len(ID) + 30])
    def test_tells_the_id_that_has_arrived(self, serve: Serve, framing: str, length: int) -> None:
        def cut(connection: Connection) -> None:
            size = f"{len(PENDING):x}\r\n" if "chunked" in framing else ""
            connection.send(f"HTTP/1.1 201 Created\r\n{framing}\r\n\r\n{size}{PENDING[:length]}")
            connection.end()

        client, _server = serve(cut)

        with pytest.raises(RemoteError) as caught:
            client.create(a_request())

        assert caught.value.accepted_as == (ID if length >= len(ID) + 9 else "")

    @pytest.mark.parametrize(
        "body", [f"[{PENDING}]", f'{{"data": {PENDING}}}', PENDING + "<!-- served by x -->"]
    )
    def test_tells_the_id_in_another_shape(self, serve: Serve, body: str) -> None:
        client, _server = serve(answer(201, body))

        with pytest.raises(RemoteError) as caught:
            client.create(a_request())

        assert caught.value.accepted_as == ID

    @pytest.mark.parametrize("begin", ["", "\n", ": ok\n\n", "event: message\n", "id: 1\n"])
    @pytest.mark.parametrize("status", [200, 201, 502])
    def test_tells_the_id_in_events(self, serve: Serve, status: int, begin: str) -> None:
        text = {"candidates": [{"content": {"parts": [{"text": "creatify"}]}}]}
        events = [text, {**text, "creatify": {"id": ID, "credits_used": 0.5}}]
        body = begin + "".join(f"data: {json.dumps(event)}\n\n" for event in events)
        client, _server = serve(answer(status, body, Content_Type="text/event-stream"))

        with pytest.raises(RemoteError) as caught:
            client.create(a_request())

        assert caught.value.accepted_as == ID

    @pytest.mark.parametrize(
        ("body", "found"),
        [
            (f"data: {PENDING}\n\ndata: [DONE]\n\n", ID),
            (f'data: {{"creatify": {{"id": "{ID}"}}}}', ID),
            (f'data: {{"creatify": {{"id": "{ID}"', ""),
            ('data: {"creatify": {"id": null}}\n\n', ""),
            ("data: {}\n" * 70_000, ""),
            (f'<p>\ndata: {{"creatify": {{"id": "{ID}"}}}}\n\n', ""),
        ],
        ids=["generation", "no blank line", "cut", "no id", "too many lines", "page"],
    )
    def test_tells_the_id_in_odd_events(self, serve: Serve, body: str, found: str) -> None:
        client, _server = serve(answer(200, body, Content_Type="text/event-stream"))

        with pytest.raises(RemoteError) as caught:
            client.create(a_request())

        assert caught.value.accepted_as == found

    @pytest.mark.parametrize("name", ["Location", "Content_Location"])
    @pytest.mark.parametrize("body", ["", "<html>Created</html>", '{"status": "pending"}'])
    def test_tells_the_id_to_which_its_head_points(
        self, serve: Serve, name: str, body: str
    ) -> None:
        client, _server = serve(answer(201, body, **{name: f"/sse/text_generator/{ID}/"}))

        with pytest.raises(RemoteError) as caught:
            client.create(a_request())

        assert caught.value.accepted_as == ID

    def test_tells_the_id_in_a_head_whose_body_never_came(self, serve: Serve) -> None:
        def cut(connection: Connection) -> None:
            place = f"Location: /sse/text_generator/{ID}/\r\nContent-Length: 900"
            connection.send(f"HTTP/1.1 201 Created\r\n{place}\r\n\r\n")
            connection.end()

        client, _server = serve(cut)

        with pytest.raises(RemoteError) as caught:
            client.create(a_request())

        assert caught.value.accepted_as == ID


CHARSETS = ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"]


@pytest.mark.parametrize("charset", CHARSETS)
class TestCharset:
    """What was paid for is read in whatever charset it comes."""

    TEXT = json.dumps(
        {"id": ID, "status": "done", "response_text": "Zürich", "credits_used": 1},
        ensure_ascii=False,
    )

    def served(self, serve: Serve, text: str, charset: str, status: int = 200) -> RemoteClient:
        head = {"Content_Type": f"application/json; charset={charset}"}
        client, _server = serve(lambda peer: peer.answer(status, text.encode(charset), **head))
        return client

    def test_of_a_create(self, serve: Serve, charset: str) -> None:
        found = self.served(serve, self.TEXT, charset, 201).create(a_request())
        assert (found.id, found.response_text) == (ID, "Zürich")

    def test_of_a_list(self, serve: Serve, charset: str) -> None:
        listing = self.served(serve, f"[{self.TEXT}]", charset).list()
        assert listing.is_whole
        assert [found.response_text for found in listing.generations] == ["Zürich"]

    def test_of_a_stream(self, serve: Serve, charset: str) -> None:
        receipt = {"creatify": {"id": ID, "credits_used": 0.5}}
        text = f"data: {json.dumps(receipt)}\n\n"
        with self.served(serve, text, charset).stream(a_request()) as stream:
            assert len(list(stream)) == 1
            assert stream.receipt is not None

    def test_of_an_error(self, serve: Serve, charset: str) -> None:
        with pytest.raises(RemoteError) as caught:
            self.served(serve, self.TEXT, charset, 503).create(a_request())
        assert caught.value.accepted_as == ID
