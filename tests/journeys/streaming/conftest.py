"""A remote, a Redis and two kinds of site for the journeys of a stream."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import redis
import uvicorn
from django.contrib.auth import get_user_model
from django.core.asgi import get_asgi_application
from django.db import connections, transaction
from django.test import Client

from creatify_textgen import enqueue, services
from creatify_textgen.emulator import Emulator
from creatify_textgen.rest.streaming import limits
from creatify_textgen.rest.streaming.limits import reader_slots
from creatify_textgen.streams import hub


def configuration(emulator: Emulator, **settings: Any) -> dict[str, Any]:
    account = {"API_ID": "id", "API_KEY": "key", "BASE_URL": emulator.url}
    return {"ACCOUNTS": {"default": account}, **settings}


@pytest.fixture(autouse=True)
def pumps_end() -> Iterator[None]:
    """Let pumps whose readers left finish before their rows go."""
    yield
    for thread in threading.enumerate():
        if thread.name.startswith("textgen-pump-"):
            thread.join(10)


@pytest.fixture(autouse=True)
def slots_are_given_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let no reader keep its slot, however it ended."""
    monkeypatch.setattr(limits, "RESERVED_SECONDS", 3)
    yield
    until = time.monotonic() + 10
    while reader_slots.count() and time.monotonic() < until:
        time.sleep(0.02)
    assert reader_slots.count() == 0


@pytest.fixture
def remote(creatify_emulator: Emulator, settings: Any) -> Emulator:
    """Return an emulator with quick streams, which the site uses with `memory://`."""
    settings.CREATIFY_TEXTGEN = configuration(creatify_emulator)
    creatify_emulator.switches.set(chunk_interval=0.002)
    return creatify_emulator


def pump_in_thread(generation_id: uuid.UUID) -> None:
    def pump() -> None:
        try:
            services.pump_stream(generation_id)
        finally:
            connections.close_all()

    def start() -> None:
        threading.Thread(target=pump, name=f"textgen-pump-{generation_id}").start()

    transaction.on_commit(start)


@pytest.fixture
def redis_remote(
    remote: Emulator, redis_url: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Emulator]:
    """The same with frames in Redis; the pump is a thread, as there is no worker."""
    settings.CREATIFY_TEXTGEN = configuration(remote, STREAM_BACKEND=redis_url)
    monkeypatch.setattr(enqueue, "stream", pump_in_thread)
    yield remote
    hub.get_hub().close()
    hub._hub.forget()


@pytest.fixture
def session_cookie(transactional_db: None) -> dict[str, str]:
    """Return the cookie of a user who is signed in."""
    user = get_user_model().objects.create_user("ada", password="pw")
    client = Client()
    client.force_login(user)
    return {"sessionid": client.cookies["sessionid"].value}


@pytest.fixture
def asgi_server(transactional_db: None) -> Iterator[uvicorn.Server]:
    """Serve the host project with uvicorn."""
    config = uvicorn.Config(get_asgi_application(), port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
    yield server
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def asgi_site(asgi_server: uvicorn.Server) -> str:
    """Return the address of a site that uvicorn serves."""
    port = asgi_server.servers[0].sockets[0].getsockname()[1]
    return f"http://127.0.0.1:{port}"


@pytest.fixture(params=["wsgi", "asgi"])
def site(request: pytest.FixtureRequest) -> str:
    """Return the address of a site of either kind."""
    if request.param == "asgi":
        return str(request.getfixturevalue("asgi_site"))
    return str(request.getfixturevalue("live_server").url)


class RedisFrames:
    """The keys of the app in Redis."""

    def __init__(self, url: str) -> None:
        self.client = redis.Redis.from_url(url)

    def forget(self, generation_id: str) -> None:
        self.client.delete(f"creatify_textgen:stream:{generation_id}")


@pytest.fixture
def redis_frames(redis_url: str) -> Iterator[RedisFrames]:
    frames = RedisFrames(redis_url)
    yield frames
    frames.client.close()
