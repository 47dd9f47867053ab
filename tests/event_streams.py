"""A browser's side of an event stream: what the standard says, and no more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import requests


class ServerEvent(NamedTuple):
    id: str
    """The last id seen, as EventSource would send it."""
    name: str
    data: Any


def read_events(response: requests.Response, *, last_id: str = "") -> Iterator[ServerEvent]:
    """Yield the events of a response as they come; heartbeats are skipped."""
    fields: dict[str, str] = {}
    for line in response.iter_lines(chunk_size=1, decode_unicode=False):
        name, _, value = line.decode().partition(": ")
        if name == "data" and name in fields:
            fields[name] += f"\n{value}"
        elif name:
            fields[name] = value
        elif fields:
            last_id = fields.get("id", last_id)
            if "data" in fields:
                event = fields.get("event", "message")
                yield ServerEvent(last_id, event, json.loads(fields["data"]))
            fields = {}


def text_of(events: list[ServerEvent]) -> str:
    """Return the answer that these events add up to."""
    return "".join(
        part["text"]
        for event in events
        if event.name == "message"
        for candidate in event.data.get("candidates") or []
        for part in (candidate.get("content") or {}).get("parts") or []
        if part.get("text") and not part.get("thought")
    )
