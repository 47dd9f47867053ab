"""The paths under /_emulator/: switches, reset, and the state that tests read. They need no keys.

These requests are never logged, and no switch affects them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from creatify_textgen.emulator.api.processing import Processing
from creatify_textgen.emulator.api.rendering import render_generation
from creatify_textgen.emulator.api.state import RemoteGeneration, State
from creatify_textgen.emulator.faults.switch import SwitchError
from creatify_textgen.emulator.faults.switchboard import Switchboard
from creatify_textgen.emulator.http.exchange import AnyAnswer, Request, json_answer
from creatify_textgen.emulator.requests.bodies import BodyError

from .callers import is_json

__all__ = ["PREFIX", "Control"]

PREFIX = "/_emulator/"
FINISH = re.compile(r"/_emulator/generations/([0-9a-f-]{36})/finish/")


class Control:
    """Answers everything under /_emulator/."""

    def __init__(self, *, state: State, processing: Processing, switches: Switchboard) -> None:
        self._state = state
        self._processing = processing
        self._switches = switches
        self._routes: dict[tuple[str, str], Callable[[Request], AnyAnswer]] = {
            ("GET", "switches/"): self._show_switches,
            ("POST", "switches/"): self._set_switches,
            ("POST", "reset/"): self._reset,
            ("GET", "requests/"): self._show_requests,
            ("GET", "generations/"): self._show_generations,
            ("GET", "counters/"): self._show_counters,
        }

    def answer(self, request: Request) -> AnyAnswer:
        """Return the answer to one request."""
        method, path = request.head.method, request.head.path
        # An HTML form of another site can post, but not with this content type.
        if method == "POST" and not is_json(request.head):
            return json_answer({"error": "Send application/json, also without a body."}, status=415)
        handler = self._routes.get((method, path.removeprefix(PREFIX)))
        finish = FINISH.fullmatch(path)
        try:
            if finish is not None and method == "POST":
                return self._finish(request, generation_id=finish[1])
            if handler is not None:
                return handler(request)
        except (BodyError, SwitchError) as error:
            return json_answer({"error": str(error)}, status=400)
        return json_answer({"error": f"No {method} {path} here."}, status=404)

    def reset(self) -> None:
        """Forget everything and set the switches to their values at the start."""
        # `stop` comes before the state forgets: it wakes the sync calls that wait for generations.
        self._switches.reset()
        self._processing.stop()
        self._state.reset(settings=self._switches.settings)

    def _show_switches(self, request: Request) -> AnyAnswer:
        return json_answer(self._switches.describe())

    def _set_switches(self, request: Request) -> AnyAnswer:
        values = _read_object(request)
        # A name that is no switch, `times` apart, raises SwitchError.
        self._switches.set(**values)
        return self._show_switches(request)

    def _reset(self, request: Request) -> AnyAnswer:
        self.reset()
        return json_answer({"reset": True})

    def _show_requests(self, request: Request) -> AnyAnswer:
        return json_answer([record.as_json() for record in self._state.log])

    def _show_generations(self, request: Request) -> AnyAnswer:
        return json_answer([self._describe(each) for each in self._state.generations])

    def _show_counters(self, request: Request) -> AnyAnswer:
        return json_answer(self._state.counters)

    def _finish(self, request: Request, *, generation_id: str) -> AnyAnswer:
        values = _read_object(request)
        status, reason = values.get("status", ""), values.get("failed_reason", "")
        # Without a status the generation ends as its switches say.
        if status not in ("", "done", "failed") or not isinstance(reason, str):
            return json_answer(
                {"error": "status is done or failed; failed_reason text"}, status=400
            )
        generation = self._state.find(generation_id)
        if generation is None:
            return json_answer({"error": f"No generation {generation_id}."}, status=404)
        self._processing.finish(generation, status=status, failed_reason=reason)
        return json_answer(self._describe(generation))

    def _describe(self, generation: RemoteGeneration) -> Mapping[str, Any]:
        rendered = render_generation(generation, settings=self._switches.settings)
        return {**rendered, "mode": generation.mode}


def _read_object(request: Request) -> dict[str, Any]:
    value = request.body.parse() if request.body.total else {}
    if not isinstance(value, dict):
        raise BodyError("send a JSON object")
    return value
