"""Chromium for the tests of pages, and a site of several processes behind a line that can be cut.

TEST_CHROMIUM names another Chromium than Debian's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from creatify_textgen.emulator import Emulator
from tests.browser.staff import StrictPolicy
from tests.cable import Cable
from tests.deployment import Deployment

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = os.environ.get("TEST_CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 30_000
# Long enough for a cut in the middle, and for a look at the page before the end.
STREAM: dict[str, Any] = {"chunk_count": 30, "chunk_interval": 0.1, "call_if_named": True}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api")
    with pytest.MonkeyPatch.context() as environment:
        # Playwright keeps an event loop in this thread, which Django would take for async code.
        environment.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        # A machine of the gate is slow; what is there at once is found at once.
        playwright.expect.set_options(timeout=PATIENCE_MS)
        with playwright.sync_playwright() as tools:
            chromium = tools.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            yield chromium
            chromium.close()


@pytest.fixture
def deployment(running_deployment: Deployment, creatify_emulator: Emulator) -> Deployment:
    running_deployment.make_whole()
    creatify_emulator.switches.set(**STREAM)
    return running_deployment


@pytest.fixture
def cable(deployment: Deployment) -> Iterator[Cable]:
    """Return the line between the browser and the first web node."""
    with Cable(deployment.webs[0].port) as cable:
        yield cable


@pytest.fixture
def site(settings: Any, creatify_emulator: Emulator, request: pytest.FixtureRequest) -> str:
    """Return the address of a live site with a strict policy, and the emulator behind it."""
    policy = f"{StrictPolicy.__module__}.{StrictPolicy.__name__}"
    settings.MIDDLEWARE = [policy, *settings.MIDDLEWARE]
    account = {"API_ID": "id", "API_KEY": "key", "BASE_URL": creatify_emulator.url}
    settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": account}}
    return str(request.getfixturevalue("live_server").url)
