"""One call of the API while it is being answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from creatify_textgen.emulator.faults.switches import Settings
from creatify_textgen.emulator.http.exchange import Answer, Request
from creatify_textgen.emulator.requests.routes import Route

from .errors import error_answer

__all__ = ["Call"]


@dataclass(slots=True)
class Call:
    """A request and what is known about it when a handler receives it."""

    request: Request
    route: Route
    kind: str
    settings: Settings
    # Two forms: the log keeps facts about media and shortened texts, and the handler needs all.
    body: Any = None
    logged_body: Any = None
    body_error: str = ""
    """Why the body is not JSON."""
    workspace: str = ""
    accepted: bool = False
    """Whether a generation answers it: one that it created, or an equal one from before."""

    def refusal(self, status: int, *, text: str = "") -> Answer:
        """Return an error in the style of this call's path and switches."""
        return error_answer(status, settings=self.settings, legacy=self.route.legacy, text=text)
