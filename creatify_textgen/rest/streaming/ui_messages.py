"""The UI message stream protocol, version 1, of Vercel's AI SDK, which `useChat` reads.

Its parts are facts taken from the package `ai` 5.0.277, 6.0.326 and 7.0.173, read on 2026-11-30;
only what all three know is used. Pure: frames in, bytes out. Invariants: a piece of text lies
between the start and the end of its part, and the last event of a stream is `[DONE]`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from creatify_textgen.states import Status
from creatify_textgen.streams import Chunk, chunk_of
from creatify_textgen.streams.hub import END, ERROR, Frame
from creatify_textgen.streams.own_frames import STOPPED

__all__ = ["OWN_CALL", "Part", "UIMessages", "encode"]

OWN_CALL = "textgen-"
"""How the ids begin that calls receive here if the model gave none."""
FINISH_OF_CODE = {"blocked": "content-filter", "truncated": "length"}
FINISH_OF_WORD = {"": "stop", "STOP": "stop"}

Part = dict[str, Any]


def encode(parts: list[Part], *, is_end: bool = False) -> bytes:
    """Return the events of these parts, and with `is_end` the last event of the stream."""
    # In ASCII: a text may have half of a character, which UTF-8 cannot write.
    written = [json.dumps(part, separators=(",", ":")) for part in parts]
    if is_end:
        written.append("[DONE]")
    return "".join([f"data: {part}\n\n" for part in written]).encode()


class UIMessages:
    """Renders one generation as one message of the assistant, with one step.

    The message's metadata are `{"generation": id}` at once, and at the end also `status`,
    `credits_used`, `error_code`, `partial`, `finish_reason`, `usage` and `model_version`, as the
    REST API names them.
    """

    headers: Mapping[str, str] = MappingProxyType({"x-vercel-ai-ui-message-stream": "v1"})

    def __init__(self, generation_id: str, *, message_id: str = "") -> None:
        """`message_id` is the message that is continued; by default a new one begins."""
        self._generation_id = generation_id
        self._message_id = message_id or generation_id
        self._has_begun = False
        self._open = ""
        """What the open part holds: `text`, `reasoning` or nothing."""
        self._opened = 0
        self._calls = 0
        self._failure = ""
        """The error that comes before the end, so that the message knows its cost first."""
        self._known: Part = {"finish_reason": "", "usage": None, "model_version": ""}

    def render(self, batch: list[Frame]) -> bytes:
        """Return the events of these frames, and `[DONE]` after the end frame."""
        is_end = any(frame.event == END for frame in batch)
        return encode(list(self.parts_of(batch)), is_end=is_end)

    def parts_of(self, batch: list[Frame]) -> Iterator[Part]:
        """Yield the parts, such as `{"type": "text-delta", "id": "text-1", "delta": "Hi"}`."""
        if batch and not self._has_begun:
            self._has_begun = True
            metadata = {"generation": self._generation_id}
            yield {"type": "start", "messageId": self._message_id, "messageMetadata": metadata}
            yield {"type": "start-step"}
        for frame in batch:
            if frame.event == ERROR:
                self._failure = json.loads(frame.data)["message"]
            elif frame.event == END:
                yield from self._end(json.loads(frame.data))
            elif chunk := chunk_of(frame):
                yield from self._parts_of_chunk(chunk)
        # An error without an end frame: the database does not answer.
        if self._failure:
            yield from self.close()
            yield self._error()

    def _parts_of_chunk(self, chunk: Chunk) -> Iterator[Part]:
        yield from self._delta("reasoning", chunk.thoughts)
        yield from self._delta("text", chunk.text)
        for call in chunk.function_calls:
            yield from self.close()
            yield self._call(call)
        if word := chunk.finish_reason or chunk.block_reason:
            self._known["finish_reason"] = word
        if usage := chunk.usage:
            self._known["usage"] = usage
        if version := chunk.model_version:
            self._known["model_version"] = version

    def _delta(self, kind: str, text: str) -> Iterator[Part]:
        if not text:
            return
        if self._open != kind:
            yield from self.close()
            self._open = kind
            self._opened += 1
            yield {"type": f"{kind}-start", "id": self._part_id}
        yield {"type": f"{kind}-delta", "id": self._part_id, "delta": text}

    def close(self) -> Iterator[Part]:
        """Yield the end of the part that is open, if one is."""
        if self._open:
            yield {"type": f"{self._open}-end", "id": self._part_id}
            self._open = ""

    def _call(self, call: Mapping[str, Any]) -> Part:
        self._calls += 1
        # The SDK needs an id, and many models give none.
        own_id = f"{OWN_CALL}{self._generation_id}-{self._calls}"
        part = {
            "type": "tool-input-available",
            "toolCallId": call.get("id") or own_id,
            "toolName": call["name"],
            "input": call["args"],
        }
        if signature := call.get("thought_signature"):
            # Where the SDK's own provider for Gemini keeps it; it comes back with the next request.
            part["providerMetadata"] = {"google": {"thoughtSignature": signature}}
        return part

    def _end(self, end: Part) -> Iterator[Part]:
        yield from self.close()
        metadata = {**{name: end[name] for name in end if name != "id"}, **self._known}
        if end["error_code"] == STOPPED:
            yield {"type": "message-metadata", "messageMetadata": metadata}
            yield {"type": "abort"}
            return
        if self._failure:
            # useChat reads nothing after an error.
            yield {"type": "message-metadata", "messageMetadata": metadata}
            yield self._error()
        yield {"type": "finish-step"}
        yield {"type": "finish", "finishReason": self._reason(end), "messageMetadata": metadata}

    def _error(self) -> Part:
        failure, self._failure = self._failure, ""
        return {"type": "error", "errorText": failure}

    def _reason(self, end: Part) -> str:
        """Return the SDK's word for the end."""
        if reason := FINISH_OF_CODE.get(end["error_code"]):
            return reason
        if end["status"] != Status.DONE:
            return "error"
        if self._calls:
            return "tool-calls"
        return FINISH_OF_WORD.get(self._known["finish_reason"], "other")

    @property
    def _part_id(self) -> str:
        return f"{self._open}-{self._opened}"
