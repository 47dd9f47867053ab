from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from creatify_textgen.remote import Credentials, RemoteClient, Timeouts
from tests.integration.remote.server import Script, ScriptedServer, serving

API_ID = "sentinel-id-4711"
API_KEY = "sentinel-key-0815"
SHORT = Timeouts(connect=1, read=0.3, sync=0.3, stream_idle=0.3)

Serve = Callable[..., tuple[RemoteClient, ScriptedServer]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server with these scripts and return a client of it."""
    with ExitStack() as stack:

        def start(*scripts: Script, **options: object) -> tuple[RemoteClient, ScriptedServer]:
            server = stack.enter_context(serving(*scripts))
            credentials = Credentials(API_ID, API_KEY, server.url)
            client = RemoteClient(credentials, **{"timeouts": SHORT, **options})  # type: ignore[arg-type]
            stack.enter_context(closing(client))
            return client, server

        yield start
