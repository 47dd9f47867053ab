"""What a model receives of a conversation: windows, and calls that nobody answered.

Pure: takes and returns lists of messages in the remote's form. Invariant: no function call is
kept without its response, because Gemini refuses such a conversation.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from creatify_textgen.exceptions import RequestError

__all__ = [
    "Message",
    "estimate_tokens",
    "join",
    "new_messages",
    "windowed",
    "without_media",
]

Message = dict[str, Any]

# Google's page on tokens: "a token is equivalent to about 4 characters".
CHARACTERS_PER_TOKEN = 4
TOKENS_PER_MEDIUM = 258
"""Of an image of at most 384 by 384 pixels, or of a second of video (Gemini's page on tokens)."""
MOST_NEW_MESSAGES = 2**15 - 1
"""The largest number that `Turn.messages_added` has on every database."""
GONE = {
    "image": "[an image that is no longer stored]",
    "video": "[a video that is no longer stored]",
}


def new_messages(content: Any) -> list[Message]:
    """Return what a user says as messages: a text, a list of parts, or a list of messages.

    Raises: RequestError if it is none of these. What is inside is checked later.
    """
    if isinstance(content, str) and content:
        return [{"role": "user", "content": content}]
    if isinstance(content, list | tuple) and all(isinstance(item, Mapping) for item in content):
        # A message has a role, and a part has a type. A mixture is read as parts, and refused.
        if not content or not all("role" in item for item in content):
            return [{"role": "user", "content": list(content)}]
        if len(content) <= MOST_NEW_MESSAGES:
            return [dict(item) for item in content]
    rule = "Must be a text, a list of parts, or a list of messages."
    if content == "":
        rule = "Must not be empty."
    elif isinstance(content, list | tuple) and len(content) > MOST_NEW_MESSAGES:
        rule = f"Must have at most {MOST_NEW_MESSAGES} messages, not {len(content)}."
    raise RequestError.about("content", rule)


def join(before: Sequence[Message], new: Sequence[Message]) -> list[Message]:
    """Return the conversation with its new messages.

    If the new messages answer no call, open calls at the end are left out. Raises: RequestError if
    only some of them are answered, or if there is nothing to answer.
    """
    calls = _calls_at_end(before)
    answered = sum("function_response" in message for message in new)
    if answered not in (0, calls):
        rule = f"Must have one function_response for each of the {calls} calls, not {answered}."
        if not calls:
            rule = "Must have no function_response: the answer before called no function."
        raise RequestError.about("content", rule)
    # The user asks something else. Gemini wants as many responses as calls (contract, section 9).
    if calls and not answered:
        return [*before[: len(before) - calls], *new]
    return [*before, *new]


def windowed(
    messages: Sequence[Message], *, count: int | None, tokens: int | None
) -> list[Message]:
    """Return the latest messages that are within both limits, from a user's own message on.

    An exchange is never cut. The latest exchange is returned even if it alone is too large.
    """
    # Cut only before a user's own message: a response without its call, or a beginning with the
    # model, would be refused.
    starts = [index for index, message in enumerate(messages) if _begins_exchange(message)]
    kept = starts[-1] if starts else 0
    size = sum(map(estimate_tokens, messages[kept:]))
    for start in reversed(starts[:-1]):
        size += sum(map(estimate_tokens, messages[start:kept]))
        is_long = count is not None and len(messages) - start > count
        if is_long or (tokens is not None and size > tokens):
            break
        kept = start
    return list(messages[kept:])


def estimate_tokens(message: Message) -> int:
    """Return about how many tokens a message has: a quarter of its characters, 258 for a medium."""
    return math.ceil(_characters(message) / CHARACTERS_PER_TOKEN)


def without_media(messages: Sequence[Message], *, missing: Collection[str]) -> list[Message]:
    """Return the messages with a text instead of each medium that is no longer stored."""
    return [
        {**message, "content": [_kept(part, missing) for part in message["content"]]}
        if isinstance(message.get("content"), list)
        else message
        for message in messages
    ]


def _kept(part: Any, missing: Collection[str]) -> Any:
    if part.get("media") in missing:
        return {"type": "text", "text": GONE[part["type"]]}
    return part


def _begins_exchange(message: Message) -> bool:
    return message.get("role") == "user" and "function_response" not in message


def _calls_at_end(messages: Sequence[Message]) -> int:
    count = 0
    for message in reversed(messages):
        if "function_call" not in message:
            break
        count += 1
    return count


def _characters(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        # The base64 of a medium is not what the model counts.
        if "media" in value or "data" in value:
            return TOKENS_PER_MEDIUM * CHARACTERS_PER_TOKEN
        return sum(_characters(item) for item in value.values())
    if isinstance(value, list | tuple):
        return sum(_characters(item) for item in value)
    return len(str(value))
