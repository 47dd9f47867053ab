"""One call of the vendor's API on its way to an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .errors import error_answer
from .exchange import Answer, Request
from .routes import Route
from .switches import Settings

__all__ = ["Call"]


@dataclass(slots=True)
class Call:
    """What is known of a request when a handler gets it."""

    request: Request
    route: Route
    kind: str
    settings: Settings
    body: Any = None
    logged_body: Any = None
    body_error: str = ""
    """Why the body is not JSON."""
    workspace: str = ""
    accepted: bool = False
    """Whether it created a generation."""

    def refusal(self, status: int, *, text: str = "") -> Answer:
        """Return an error in the style of this call's path and switches."""
        return error_answer(status, settings=self.settings, legacy=self.route.legacy, text=text)
