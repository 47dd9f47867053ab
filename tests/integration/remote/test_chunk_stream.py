"""Streams on real sockets: every end there is, encrypted too, and closing from elsewhere."""

from __future__ import annotations

import json
import ssl
import threading
import time

import pytest

from creatify_textgen.exceptions import RemoteRejectedError, RemoteUnavailableError, StreamError
from creatify_textgen.remote import (
    Chunk,
    ChunkFailure,
    ChunkStream,
    GenerationRequest,
    RemoteClient,
    Timeouts,
)
from tests.integration.remote.conftest import API_KEY, Serve
from tests.integration.remote.server import Connection, Script

TEXT = 'data: {"candidates":[{"content":{"parts":[{"text":"Create "}]}}]}\n\n'
RECEIPT = 'data: {"creatify":{"id":"r-1","credits_used":0.0005}}\n\n'


def a_request() -> GenerationRequest:
    return GenerationRequest(
        model_name="m",
        messages=[{"role": "user", "content": "Hello"}],
        webhook_url="https://site.example/",
        sync=True,
    )


def streaming(*pieces: str) -> Script:
    def script(connection: Connection) -> None:
        connection.start_stream()
        for piece in pieces:
            connection.send(piece)

    return script


ALL_READ = threading.Event()
"""Set when the client has read what was sent: a reset discards what is still on its way."""


def reset_once_read(connection: Connection) -> None:
    assert ALL_READ.wait(10)
    connection.reset()


def read(client: RemoteClient) -> tuple[list[Chunk], StreamError | None]:
    chunks: list[Chunk] = []
    ALL_READ.clear()
    try:
        with client.stream(a_request()) as stream:
            stream.before_wait = ALL_READ.set
            for chunk in stream:
                chunks.append(chunk)  # noqa: PERF402 - kept when the stream raises
    except StreamError as error:
        return chunks, error
    return chunks, None


class TestStream:
    def test_posts_without_what_a_stream_does_not_know(self, serve: Serve) -> None:
        client, server = serve(streaming(TEXT, RECEIPT))

        chunks, error = read(client)

        assert error is None
        assert [chunk.text for chunk in chunks] == ["Create ", ""]
        assert server.requests[0].line == "POST /sse/text_generator/stream/ HTTP/1.1"
        assert set(json.loads(server.requests[0].body)) == {"model_name", "messages"}

    def test_reads_chunked_transfer(self, serve: Serve) -> None:
        def script(connection: Connection) -> None:
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for piece in (TEXT[:10], TEXT[10:] + RECEIPT[:5], RECEIPT[5:]):
                connection.send(f"{len(piece):x}\r\n{piece}\r\n")
            connection.send("0\r\n\r\n")

        client, _server = serve(script)

        assert len(read(client)[0]) == 2

    def test_gives_a_chunk_as_soon_as_it_is_there(self, serve: Serve) -> None:
        def script(connection: Connection) -> None:
            connection.start_stream()
            connection.send(TEXT)
            connection.hang()

        client, _server = serve(script, timeouts=Timeouts(stream_idle=20))

        with client.stream(a_request()) as stream:
            assert next(stream).text == "Create "

    def test_tells_before_it_waits_that_all_was_read(self, serve: Serve) -> None:
        reported = threading.Event()

        def script(connection: Connection) -> None:
            connection.start_stream()
            connection.send(TEXT + TEXT)
            if reported.wait(10):
                connection.send(RECEIPT)

        client, _server = serve(script)
        read_then: list[int] = []

        with client.stream(a_request()) as stream:
            chunks: list[Chunk] = []

            def tell() -> None:
                read_then.append(len(chunks))
                reported.set()

            stream.before_wait = tell
            for chunk in stream:
                chunks.append(chunk)  # noqa: PERF402 - counted while it is read

        assert read_then[-1] == 3
        assert 2 in read_then

    def test_keeps_its_receipt(self, serve: Serve) -> None:
        client, _server = serve(streaming(TEXT, RECEIPT))

        with client.stream(a_request()) as stream:
            list(stream)

        assert stream.receipt is not None
        assert stream.receipt.id == "r-1"

    def test_raises_before_the_stream_as_a_create_does(self, serve: Serve) -> None:
        client, _server = serve(lambda connection: connection.answer(402, "{}"))

        with pytest.raises(RemoteRejectedError) as caught:
            client.stream(a_request())

        assert caught.value.code == "insufficient_credits"

    def test_does_not_wait_for_headers_for_ever(self, serve: Serve) -> None:
        client, _server = serve(lambda connection: connection.hang())

        with pytest.raises(RemoteUnavailableError) as caught:
            client.stream(a_request())

        assert caught.value.request_sent


def silent(connection: Connection) -> None:
    connection.start_stream()
    connection.send(TEXT)
    connection.hang()


def reset(connection: Connection) -> None:
    connection.start_stream()
    connection.send(TEXT)
    reset_once_read(connection)


def cut_chunked(connection: Connection) -> None:
    connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    connection.send(f"{len(TEXT):x}\r\n{TEXT}\r\nffff\r\ndata: ")


class TestEnds:
    @pytest.mark.parametrize(
        "script",
        [streaming(TEXT), streaming(TEXT, RECEIPT[:-9]), silent, reset, cut_chunked],
        ids=["no receipt", "cut event", "silence", "reset", "cut chunk"],
    )
    def test_is_interrupted(self, serve: Serve, script: Script) -> None:
        client, _server = serve(script)

        chunks, error = read(client)

        assert [chunk.text for chunk in chunks] == ["Create "]
        assert error is not None
        assert error.code == "stream_interrupted"

    @pytest.mark.parametrize("body", ["", "<html>", '{"detail": "x"}'], ids=repr)
    def test_is_interrupted_by_an_answer_that_is_no_stream(self, serve: Serve, body: str) -> None:
        client, _server = serve(lambda connection: connection.answer(200, body))

        chunks, error = read(client)

        assert chunks == []
        assert error is not None

    def test_raises_a_bare_error(self, serve: Serve) -> None:
        client, _server = serve(
            lambda connection: connection.answer(200, '{"error": {"status": "UNAVAILABLE"}}')
        )

        _chunks, error = read(client)

        assert error is not None
        assert error.code == "UNAVAILABLE"

    def test_is_good_after_a_receipt_whatever_comes(self, serve: Serve) -> None:
        def script(connection: Connection) -> None:
            connection.start_stream()
            connection.send(TEXT + RECEIPT)
            reset_once_read(connection)

        client, _server = serve(script)

        assert read(client)[1] is None

    def test_takes_a_receipt_without_its_blank_line_before_a_reset(self, serve: Serve) -> None:
        def script(connection: Connection) -> None:
            connection.start_stream()
            connection.send(TEXT + RECEIPT.rstrip())
            reset_once_read(connection)

        client, _server = serve(script)

        chunks, error = read(client)

        assert error is None
        assert chunks[-1].receipt is not None

    @pytest.mark.parametrize("pings", [False, True], ids=["silent", "pinging"])
    def test_does_not_linger_after_a_receipt(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch, *, pings: bool
    ) -> None:
        monkeypatch.setattr("creatify_textgen.remote.chunk_stream.LINGER_SECONDS", 0.2)

        def script(connection: Connection) -> None:
            connection.start_stream()
            connection.send(RECEIPT)
            if pings:
                connection.drip(": ping\n\n", 0.05)
            else:
                connection.hang()

        client, _server = serve(script, timeouts=Timeouts(stream_idle=60))
        started = time.monotonic()

        assert read(client)[1] is None
        assert time.monotonic() - started < 10

    def test_reads_the_receipt_behind_an_error(self, serve: Serve) -> None:
        """What failed may have been paid for."""
        error = 'data: {"error":{"code":503,"status":"UNAVAILABLE"}}\n\n'
        client, _server = serve(streaming(TEXT, error, TEXT, RECEIPT))

        chunks, raised = read(client)

        assert raised is not None
        assert raised.code == "UNAVAILABLE"
        # Its text is none of an answer's any more.
        assert [chunk.text for chunk in chunks] == ["Create ", "", ""]
        assert chunks[-1].receipt is not None

    @pytest.mark.parametrize("cost", ["0", "null", "0.5"])
    def test_goes_on_behind_a_receipt_that_came_early(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch, cost: str
    ) -> None:
        monkeypatch.setattr("creatify_textgen.remote.chunk_stream.LINGER_SECONDS", 0.05)
        candidates = TEXT.removeprefix("data: {").strip().removesuffix("}")
        early = f'data: {{"creatify":{{"id":"r-1","credits_used":{cost}}},{candidates}}}\n\n'

        def script(connection: Connection) -> None:
            connection.start_stream()
            connection.send(early)
            time.sleep(0.3)
            connection.send(TEXT + RECEIPT)

        client, _server = serve(script, timeouts=Timeouts(stream_idle=20))

        chunks, error = read(client)

        assert error is None
        assert [chunk.text for chunk in chunks] == ["Create ", "Create ", ""]

    def test_passes_no_key_on(self, serve: Serve) -> None:
        first = TEXT.replace("Create ", f"Key {API_KEY} ")
        failed = f'data: {{"error": {{"status": "INTERNAL", "message": "bad {API_KEY}"}}}}\n\n'
        client, _server = serve(streaming(first, failed))

        chunks, error = read(client)

        assert [chunk.text for chunk in chunks] == ["Key [redacted] ", ""]
        assert chunks[1].error == ChunkFailure("INTERNAL", "bad [redacted]")
        assert API_KEY not in str(error) + "".join(chunk.raw for chunk in chunks)

    def test_ends_a_stream_that_goes_on_and_on(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("creatify_textgen.remote.chunk_stream.LONGEST_STREAM_SECONDS", 0.5)

        def script(connection: Connection) -> None:
            connection.start_stream()
            connection.drip(TEXT, 0.05)

        client, _server = serve(script)

        chunks, error = read(client)

        assert error is not None
        assert error.code == "stream_limit"
        assert 1 < len(chunks) <= 12

    def test_refuses_an_event_above_the_cap(self, serve: Serve) -> None:
        client, _server = serve(streaming("data: " + "x" * 5000), max_event_bytes=1000)

        _chunks, error = read(client)

        assert error is not None
        assert error.code == "stream_limit"


def assert_wakes_when_closed(stream: ChunkStream) -> None:
    """A thread that waits for more learns that another one has closed the stream."""
    next(stream)
    timer = threading.Timer(0.1, stream.close)
    timer.start()
    with pytest.raises(StreamError, match="closed here"):
        next(stream)
    timer.join()


class TestClose:
    def test_wakes_a_reader_in_another_thread(self, serve: Serve) -> None:
        client, _server = serve(silent, timeouts=Timeouts(stream_idle=60))
        assert_wakes_when_closed(client.stream(a_request()))

    def test_may_be_called_twice_and_before_the_first_chunk(self, serve: Serve) -> None:
        client, _server = serve(silent)
        stream = client.stream(a_request())

        stream.close()
        stream.close()

        with pytest.raises(StreamError):
            next(stream)

    def test_ends_the_connection(self, serve: Serve) -> None:
        gone = threading.Event()

        def script(connection: Connection) -> None:
            connection.start_stream()
            connection.send(TEXT)
            connection.drip(": ping\n\n", 0.02)
            gone.set()

        client, _server = serve(script, timeouts=Timeouts(stream_idle=60))

        with client.stream(a_request()) as stream:
            next(stream)

        assert gone.wait(5)


class TestEncrypted:
    """As it is with the real service; TLS has its own buffers."""

    @pytest.mark.usefixtures("trusted")
    def test_says_the_same(self, serve: Serve, encryption: ssl.SSLContext) -> None:
        long = "x" * 200_000
        event = f'data: {{"candidates":[{{"content":{{"parts":[{{"text":"{long}"}}]}}}}]}}\n\n'
        client, _server = serve(
            streaming(TEXT, event, TEXT[:9], TEXT[9:] + RECEIPT),
            encryption=encryption,
            timeouts=Timeouts(stream_idle=20),
        )

        chunks, error = read(client)

        assert error is None
        assert [chunk.text for chunk in chunks] == ["Create ", long, "Create ", ""]

    @pytest.mark.usefixtures("trusted")
    def test_reads_what_was_deciphered_with_the_head(
        self, serve: Serve, encryption: ssl.SSLContext
    ) -> None:
        """One record holds the head and more than `http.client` reads with it; no more comes."""

        def script(connection: Connection) -> None:
            padding = f": {'x' * 12_000}\n\n"
            connection.send("HTTP/1.1 200 OK\r\n\r\n" + TEXT + padding + RECEIPT)
            connection.hang()

        client, _server = serve(script, encryption=encryption)

        chunks, error = read(client)

        assert error is None
        assert [chunk.text for chunk in chunks] == ["Create ", ""]

    @pytest.mark.usefixtures("trusted")
    @pytest.mark.parametrize(
        "script", [streaming(TEXT), silent, reset], ids=["cut", "silence", "reset"]
    )
    def test_is_interrupted(self, serve: Serve, encryption: ssl.SSLContext, script: Script) -> None:
        client, _server = serve(script, encryption=encryption)

        chunks, error = read(client)

        assert [chunk.text for chunk in chunks] == ["Create "]
        assert error is not None
        assert error.code == "stream_interrupted"

    @pytest.mark.usefixtures("trusted")
    def test_is_woken_by_a_close_from_elsewhere(
        self, serve: Serve, encryption: ssl.SSLContext
    ) -> None:
        client, _server = serve(silent, encryption=encryption, timeouts=Timeouts(stream_idle=60))
        assert_wakes_when_closed(client.stream(a_request()))

    def test_sends_nothing_to_whom_it_does_not_trust(
        self, serve: Serve, encryption: ssl.SSLContext
    ) -> None:
        client, server = serve(streaming(TEXT, RECEIPT), encryption=encryption)

        with pytest.raises(RemoteUnavailableError) as caught:
            client.stream(a_request())

        assert not caught.value.request_sent
        assert server.requests == []
