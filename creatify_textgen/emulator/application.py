"""The vendor's API and the control paths as one application, and its server on this loop."""

from __future__ import annotations

import logging

from .api import Api
from .bodies import JsonBody
from .control import PREFIX, Control
from .exchange import AnyAnswer, Body, Head, Request
from .processing import Processing
from .server import Server
from .state import State
from .switchboard import Switchboard
from .webhooks import Deliveries

__all__ = ["EmulatorApplication"]

logger = logging.getLogger("creatify_textgen.emulator")


class EmulatorApplication:
    """Everything behind the transport. Made and used on one event loop."""

    def __init__(self, *, switches: Switchboard, state: State) -> None:
        self._switches = switches
        self._deliveries = Deliveries(state)
        self.processing = Processing(state=state, deliveries=self._deliveries)
        self.control = Control(state=state, processing=self.processing, switches=switches)
        self._api = Api(state=state, processing=self.processing, switches=switches)
        self._server = Server(self)

    def open_body(self, head: Head) -> Body:
        """Return a body that keeps no media unless it is to be echoed."""
        return JsonBody(keep_media=self._switches.settings.media_echo == "full")

    async def answer(self, request: Request) -> AnyAnswer:
        """Answer one request."""
        if request.head.path.startswith(PREFIX):
            return self.control.answer(request)
        answer = await self._api.answer(request)
        logger.info("%s %s %s", request.head.method, request.head.path, answer.status)
        return answer

    async def start(self, *, host: str, port: int) -> int:
        """Listen and return the port."""
        return await self._server.start(host=host, port=port)

    async def stop(self) -> None:
        """Stop at once; nothing of it is left on the loop."""
        await self._server.stop()
        self.processing.stop()
        await self._deliveries.stop()
