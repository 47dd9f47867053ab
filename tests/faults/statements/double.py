"""A remote in this process that answers whole, counts what is sent, and asks for functions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from creatify_textgen.remote import Chunk, GenerationRequest, RemoteGeneration, parse_chunk
from tests.faults.remote_double import PreparedDouble, RemoteDouble, StreamDouble

__all__ = ["CountingDouble"]

CALL = {"name": "book_seat", "args": {"row": 7}}


@dataclass
class CallStream(StreamDouble):
    """A stream whose answer is a call of a function."""

    def __iter__(self) -> Iterator[Chunk]:
        creatify = {"id": self.remote_id, "credits_used": 0.0005}
        content = {"role": "model", "parts": [{"functionCall": CALL}]}
        candidate = {"content": content, "finishReason": "STOP"}
        last = parse_chunk(json.dumps({"candidates": [candidate], "creatify": creatify}))
        self.receipt = last.receipt
        yield last


@dataclass
class CountingDouble(RemoteDouble):
    """Counts the POSTs of each request, whatever came of them."""

    posts: Counter[str] = field(default_factory=Counter)

    def create(self, prepared: PreparedDouble) -> RemoteGeneration:
        self._count(prepared.request)
        accepted = super().create(prepared)
        if prepared.request.sync:
            self.advance(accepted.id, "done")
        return self.generations[accepted.id]

    def stream(self, prepared: PreparedDouble) -> StreamDouble:
        self._count(prepared.request)
        stream = super().stream(prepared)
        remote = self.generations.get(stream.remote_id)
        if remote is not None and remote.response_function_calls:
            return CallStream(stream.remote_id, stream.fault)
        return stream

    def advance(self, remote_id: str, status: str) -> None:
        super().advance(remote_id, status)
        remote = self.generations[remote_id]
        if status == "done" and _asks_for_a_call(remote):
            self.generations[remote_id] = replace(
                remote, response_text="", response_function_calls=[CALL]
            )

    def _count(self, request: GenerationRequest) -> None:
        self.posts[json.dumps([dict(each) for each in request.messages])] += 1


def _asks_for_a_call(remote: RemoteGeneration) -> bool:
    messages: list[Any] = remote.messages or []
    is_first = not any("function_response" in message for message in messages)
    return is_first and messages[0]["content"] == "Book a seat."
