from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import trustme

from creatify_textgen.remote import Credentials, RemoteClient, Timeouts
from tests.integration.remote.server import Script, ScriptedServer, serving

API_ID = "sentinel-id-4711"
API_KEY = "sentinel-key-0815"
# Most answers come at once, but on a busy machine not within 0.3 seconds.
SHORT = Timeouts(connect=5, read=1, sync=1, stream_idle=1)

Serve = Callable[..., tuple[RemoteClient, ScriptedServer]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server with these scripts and return a client of it."""
    with ExitStack() as stack:

        def start(
            *scripts: Script, encryption: ssl.SSLContext | None = None, **options: object
        ) -> tuple[RemoteClient, ScriptedServer]:
            server = stack.enter_context(serving(*scripts, encryption=encryption))
            credentials = Credentials(API_ID, API_KEY, server.url)
            client = RemoteClient(credentials, **{"timeouts": SHORT, **options})  # type: ignore[arg-type]
            stack.enter_context(closing(client))
            return client, server

        yield start


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def encryption(authority: trustme.CA) -> ssl.SSLContext:
    """Return what a server needs to speak TLS on this machine; nobody trusts it yet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have requests trust the servers of `encryption`."""
    certificates = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(certificates)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates))
