"""Joins the API and the control paths into one application, and serves it on this loop."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from creatify_textgen.emulator.api.api import Api
from creatify_textgen.emulator.api.processing import Processing
from creatify_textgen.emulator.api.state import State
from creatify_textgen.emulator.api.webhooks import Deliveries, Post
from creatify_textgen.emulator.faults.clock import date_header
from creatify_textgen.emulator.faults.switchboard import Switchboard
from creatify_textgen.emulator.http.exchange import (
    AnyAnswer,
    Body,
    Head,
    Request,
    json_answer,
)
from creatify_textgen.emulator.http.server import Server
from creatify_textgen.emulator.requests.bodies import JsonBody

from .callers import foreign_reason
from .control import PREFIX, Control

__all__ = ["EmulatorApplication", "base_url"]

logger = logging.getLogger("creatify_textgen.emulator")


def base_url(host: str, *, port: int) -> str:
    """Return the URL of an address. One of IPv6 is in brackets (RFC 3986, section 3.2.2)."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class EmulatorApplication:
    """Everything behind the HTTP server. Created and used on one event loop.

    `post` sends webhooks in place of HTTP.
    """

    def __init__(self, *, switches: Switchboard, state: State, post: Post | None = None) -> None:
        self._switches = switches
        self._state = state
        self._host = ""
        self._deliveries = Deliveries(state, post=post)
        self.processing = Processing(state=state, deliveries=self._deliveries)
        self.control = Control(state=state, processing=self.processing, switches=switches)
        self._api = Api(state=state, processing=self.processing, switches=switches)
        self._server = Server(self)

    def open_body(self, head: Head) -> Body:
        """Return a body that keeps media only if `media_echo` asks for it."""
        return JsonBody(keep_media=self._switches.settings.media_echo == "full")

    async def answer(self, request: Request) -> AnyAnswer:
        """Answer one request, or refuse it if it comes from elsewhere."""
        # Before the control paths, which need no keys: a page in a browser could switch faults on.
        foreign = foreign_reason(request.head, bound=self._host)
        if foreign:
            return json_answer({"error": foreign}, status=403)
        if request.head.path.startswith(PREFIX):
            return self.control.answer(request)
        answer = await self._api.answer(request)
        logger.info("%s %s %s", request.head.method, request.head.path, answer.status)
        return answer

    def upload_rate(self, head: Head) -> int:
        """Return the rate that the switches set, for every path of the API."""
        # Control requests stay fast, so that a test can switch a slow uplink off again.
        is_control = head.path.startswith(PREFIX)
        return 0 if is_control else self._switches.settings.upload_rate

    def date_header(self) -> Mapping[str, str]:
        """Return the `Date` header by the emulator's own clock."""
        return date_header(self._state.now(), settings=self._switches.settings)

    async def start(self, *, host: str, port: int) -> int:
        """Listen and return the port."""
        self._host = host
        return await self._server.start(host=host, port=port)

    async def stop(self) -> None:
        """Stop at once; nothing is left running on the loop."""
        # The server first: afterwards no request can start another timer or delivery.
        await self._server.stop()
        self.processing.stop()
        await self._deliveries.stop()
