"""Reads what the AI SDK's `DefaultChatTransport` sends: a chat whose messages have parts.

Pure: its body in, a body of this API out, which is then checked as any other. Raises RequestError
with the SDK's own paths, such as `messages[0].parts[1].url`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import takewhile
from typing import Any, NamedTuple

from creatify_textgen.intake.reading import Reader
from creatify_textgen.intake.text import shown
from creatify_textgen.rest.streaming.ui_messages import OWN_CALL

__all__ = ["ChatRequest", "is_chat", "read_chat"]

TRANSPORT_FIELDS = ("id", "messages", "trigger", "messageId")
ROLES = ("user", "assistant", "system")
ANSWERED = ("output-available", "output-error")
_DATA_URL = re.compile(r"data:([^;,]*)(?:;[^,]*)?;base64,(.*)", re.S)
# Any origin and any prefix: only the id counts, and a medium of another user is refused later.
_MEDIUM = re.compile(r"/media/([0-9a-f-]{36})/?(?:[?#].*)?$")

Message = dict[str, Any]


class ChatRequest(NamedTuple):
    """What `useChat` asks for."""

    messages: list[Message]
    """All messages in this API's shape, without those of the role `system`."""
    new: list[Message]
    """The last message alone: what the user says, or the responses of functions."""
    system: str
    """The text of the messages with the role `system`."""
    continues: str
    """The id of the assistant's message that the answer continues, or empty."""
    repeats: bool
    """Whether an earlier message is sent again: `regenerate()`, or an edited message."""
    options: Mapping[str, Any]
    """The fields beside the chat, from the option `body` of the transport."""


def is_chat(body: Any) -> bool:
    """Return whether a body comes from the transport, and not in this API's own shape."""
    messages = body.get("messages") if isinstance(body, Mapping) else None
    # Messages of the SDK (version 5 and later) have `parts`; those of this API have `content`.
    return isinstance(messages, list) and any(
        isinstance(message, Mapping) and "parts" in message for message in messages
    )


def read_chat(body: Any) -> ChatRequest:
    """Return the request of a body for which `is_chat` holds. Raises: RequestError."""
    reader = Reader()
    read = [
        _read_message(message, path=f"messages[{index}]", reader=reader)
        for index, message in enumerate(body["messages"])
    ]
    reader.raise_if_refused()
    last = body["messages"][-1]
    is_answer = last["role"] == "assistant"
    new = _responses_at_end(read[-1]) if is_answer else read[-1]
    if last["role"] == "system":
        new = []
    if not new:
        reader.refuse("messages", "Must end with what the user says, or with an answered call.")
    reader.raise_if_refused()
    pairs = list(zip(body["messages"], read, strict=True))
    # What `regenerate()` sends, and `sendMessage()` with the `messageId` of an edited message.
    is_again = body.get("trigger") == "regenerate-message" or body.get("messageId") is not None
    return ChatRequest(
        messages=[one for source, found in pairs if source["role"] != "system" for one in found],
        new=new,
        system="\n\n".join(
            part["text"]
            for source, found in pairs
            if source["role"] == "system"
            for one in found
            for part in one["content"]
            if part["type"] == "text"
        ),
        continues=str(last.get("id") or "") if is_answer else "",
        repeats=is_again and not is_answer,
        options={name: body[name] for name in body if name not in TRANSPORT_FIELDS},
    )


def _read_message(value: Any, *, path: str, reader: Reader) -> list[Message]:
    source = reader.mapping(value, path=path) or {}
    role, parts = source.get("role"), source.get("parts")
    if role not in ROLES:
        reader.refuse(f"{path}.role", f"Must be one of {', '.join(ROLES)}.")
    elif not isinstance(parts, list) or not all(isinstance(part, Mapping) for part in parts):
        reader.refuse(f"{path}.parts", "Must be a list of parts.")
    elif role == "assistant":
        return list(_read_answer(parts, path=path, reader=reader))
    else:
        read = [
            _read_part(part, path=f"{path}.parts[{index}]", reader=reader)
            for index, part in enumerate(parts)
        ]
        content = [part for part in read if part]
        return [{"role": "user", "content": content}] if content else []
    return []


def _read_part(part: Mapping[str, Any], *, path: str, reader: Reader) -> Message | None:
    """Return the part of a user, or None for one that is only for the page."""
    kind = part.get("type")
    if kind == "text":
        return {"type": "text", "text": reader.text(part.get("text"), path=f"{path}.text")}
    if kind != "file":
        return None  # Such as `data-…`, which a page makes for itself.
    mime_type = part.get("mediaType")
    medium = mime_type.partition("/")[0] if isinstance(mime_type, str) else ""
    if medium not in ("image", "video"):
        rule = f"Must be the type of an image or a video, not {shown(mime_type)}."
        reader.refuse(f"{path}.mediaType", rule)
    url = part.get("url")
    if isinstance(url, str) and (found := _DATA_URL.fullmatch(url)):
        return {"type": medium, "data": found[2], "mime_type": mime_type}
    if isinstance(url, str) and (found := _MEDIUM.search(url)):
        return {"type": medium, "media": found[1]}
    rule = "Must be a data: URL in base64, or the address of a medium that was uploaded here."
    reader.refuse(f"{path}.url", rule)
    return None


def _read_answer(parts: list[Any], *, path: str, reader: Reader) -> Iterator[Message]:
    """Yield the messages of an answer: in each step its text, the calls, and their responses."""
    # Gemini wants the responses of a step after all of its calls (contract, 3.1). Reasoning is left
    # out, because it is no part of the answer.
    responses: list[Message] = []
    for index, part in enumerate(parts):
        kind = part.get("type")
        if kind == "step-start":
            yield from responses
            responses = []
        elif kind == "text" and part.get("text"):
            text = reader.text(part["text"], path=f"{path}.parts[{index}].text")
            yield {"role": "model", "content": [{"type": "text", "text": text}]}
        elif _is_tool(kind) and part.get("state") in ANSWERED:
            call, response = _read_tool(part)
            yield {"role": "model", "function_call": call}
            responses.append({"role": "user", "function_response": response})
    yield from responses


def _responses_at_end(messages: list[Message]) -> list[Message]:
    """Return the responses of the last step; those of earlier steps were sent before."""
    return list(takewhile(lambda message: "function_response" in message, messages[::-1]))[::-1]


def _is_tool(kind: Any) -> bool:
    return isinstance(kind, str) and (kind == "dynamic-tool" or kind.startswith("tool-"))


def _read_tool(part: Mapping[str, Any]) -> tuple[Message, Message]:
    name = part.get("toolName") or str(part["type"]).removeprefix("tool-")
    output = part.get("output")
    if part["state"] == "output-error":
        output = {"error": part.get("errorText") or "The function failed."}
    call = {"name": name, "args": part.get("input") or {}}
    # A response is an object (contract, 3.1); the SDK allows any value.
    response = {
        "name": name,
        "response": output if isinstance(output, dict) else {"result": output},
    }
    identifier = part.get("toolCallId")
    # The model does not know the ids that this API gave.
    if isinstance(identifier, str) and not identifier.startswith(OWN_CALL):
        call["id"] = response["id"] = identifier
    signature = _at(part, "callProviderMetadata", "google", "thoughtSignature")
    return call | ({"thought_signature": signature} if signature else {}), response


def _at(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
