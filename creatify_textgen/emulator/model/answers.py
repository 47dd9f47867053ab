"""What the emulated model answers to a request, and what the answer costs.

Pure and repeatable: the same request under the same settings has the same answer.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from creatify_textgen.emulator.faults.switches import Settings
from creatify_textgen.emulator.requests.media import Media

from .function_calls import function_calls
from .schemas import value_for

__all__ = ["ModelAnswer", "Usage", "compose", "credits_for", "last_prompt"]

# Google's rules of thumb for Gemini: four characters are a token, a small image is 258, and a
# second of video 263. The length of a video is guessed from its size, at 2 Mbit per second.
CHARACTERS_A_TOKEN = 4
IMAGE_TOKENS = 258
VIDEO_BYTES_A_SECOND = 250_000
VIDEO_TOKENS_A_SECOND = 263
# The list price of a flash model (dollars per token), divided by the price of one credit in the
# API Starter plan.
PROMPT_CREDITS = 0.30e-6 / 0.198
OUTPUT_CREDITS = 2.50e-6 / 0.198
QUOTE_LIMIT = 200
FILLER = ("and", "so", "the", "emulator", "counts", "on", "until", "there", "are", "enough")


@dataclass(frozen=True, slots=True)
class Usage:
    """Estimated token counts."""

    prompt: int
    candidates: int
    thoughts: int = 0

    @property
    def total(self) -> int:
        return self.prompt + self.candidates + self.thoughts


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """The result of one generation, if nothing goes wrong."""

    text: str
    function_calls: list[dict[str, Any]]
    finish_reason: str
    usage: Usage


def compose(request: Mapping[str, Any], *, settings: Settings) -> ModelAnswer:
    """Return the answer to a request that was found valid."""
    # Calls or text: the emulated model never does both in one answer, though Gemini may.
    calls = function_calls(request, prompt=last_prompt(request), settings=settings)
    text = "" if calls else _text_for(request, settings=settings)
    text, finish_reason = _cut(text, config=request.get("config", {}), settings=settings)
    written = text + "".join(json.dumps(call) for call in calls)
    usage = Usage(_prompt_tokens(request), _tokens(written), settings.thinking_tokens)
    return ModelAnswer(text, calls, settings.finish_reason or finish_reason, usage)


def credits_for(usage: Usage) -> float:
    """Return the price in credits: per token, often so small that JSON writes it as `5e-05`."""
    # Thoughts are charged as output. Eight decimals, because Creatify's precision is unknown.
    output = usage.candidates + usage.thoughts
    return round(usage.prompt * PROMPT_CREDITS + output * OUTPUT_CREDITS, 8)


def last_prompt(request: Mapping[str, Any]) -> str:
    """Return the text of the user's last message that holds any."""
    for message in reversed(request["messages"]):
        text = " ".join(_texts(message)) if message.get("role") == "user" else ""
        if text:
            return text
    return ""


def _text_for(request: Mapping[str, Any], *, settings: Settings) -> str:
    if settings.final_state == "empty":
        return ""
    # JSON mode may be truncated, and the status is still done (contract, section 8).
    if settings.final_state == "invalid_json":
        return '{"answer": "this is cut off'
    config = request.get("config", {})
    if "response_json_schema" in config or config.get("response_mime_type") == "application/json":
        return _json_text(request, schema=config.get("response_json_schema"))
    text = " ".join(_sentences(request))
    if "uppercase" in request.get("system_instruction", "").lower():
        text = text.upper()
    return _with_words(text, count=settings.word_count) if settings.word_count else text


def _json_text(request: Mapping[str, Any], *, schema: Any) -> str:
    prompt = last_prompt(request)
    if schema:
        return json.dumps(value_for(schema, prompt=prompt), ensure_ascii=False)
    answer = {"answer": " ".join(_sentences(request)), "word_count": len(prompt.split())}
    return json.dumps(answer, ensure_ascii=False)


def _sentences(request: Mapping[str, Any]) -> Iterator[str]:
    instruction = request.get("system_instruction", "")
    if instruction:
        yield f"Following the instruction {_quote(instruction)}."
    yield from _reports(request["messages"])
    prompt = last_prompt(request)
    if prompt:
        yield f"You wrote {len(prompt.split())} words: {_quote(prompt)}."
    for part in _media_parts(request):
        yield f"I was shown {_describe(part)}."
    turns = len(request["messages"])
    if turns > 1:
        yield f"This conversation has {turns} messages so far."
    yield "No model was asked: these words are the emulator's."


def _reports(messages: list[Mapping[str, Any]]) -> Iterator[str]:
    """Yield one sentence per function response at the end of the conversation."""
    latest = itertools.takewhile(lambda each: "function_response" in each, reversed(messages))
    for message in reversed(list(latest)):
        response = message["function_response"]
        facts = [f"{name} is {_plain(value)}" for name, value in response["response"].items()]
        yield f"According to {response['name']}, {', '.join(facts) or 'there is nothing to say'}."


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _quote(text: str) -> str:
    return f'"{text if len(text) <= QUOTE_LIMIT else text[:QUOTE_LIMIT] + "…"}"'


def _describe(part: Mapping[str, Any]) -> str:
    media: Media = part["data"]
    size = f", {media.width}x{media.height}" if media.width else ""
    return f"{part['mime_type']}, {media.size} bytes{size}"


def _with_words(text: str, *, count: int) -> str:
    return " ".join(itertools.islice(itertools.chain(text.split(), itertools.cycle(FILLER)), count))


def _cut(text: str, *, config: Mapping[str, Any], settings: Settings) -> tuple[str, str]:
    """Apply the stop sequences, then `max_output_tokens`, which includes thinking tokens."""
    # The stop sequence that comes first in the text ends it, and is not part of the answer.
    ends = [text.find(stop) for stop in config.get("stop_sequences", [])]
    found = [end for end in ends if end >= 0]
    text = text[: min(found)] if found else text
    if "max_output_tokens" not in config:
        return text, "STOP"
    # With enough thoughts no room is left: a done generation with empty text (section 8).
    room = max(0, config["max_output_tokens"] - settings.thinking_tokens) * CHARACTERS_A_TOKEN
    return (text, "STOP") if len(text) <= room else (text[:room], "MAX_TOKENS")


def _tokens(text: str) -> int:
    return -(-len(text) // CHARACTERS_A_TOKEN)


def _prompt_tokens(request: Mapping[str, Any]) -> int:
    written = [request.get("system_instruction", "")]
    for message in request["messages"]:
        written += _texts(message)
        for key in ("function_call", "function_response"):
            if key in message:
                written.append(json.dumps(message[key]))
    if request.get("tools"):
        written.append(json.dumps(request["tools"]))
    return _tokens("".join(written)) + sum(_media_tokens(part) for part in _media_parts(request))


def _media_tokens(part: Mapping[str, Any]) -> int:
    if part["type"] == "image":
        return IMAGE_TOKENS
    video: Media = part["data"]
    return VIDEO_TOKENS_A_SECOND * -(-video.size // VIDEO_BYTES_A_SECOND)


def _texts(message: Mapping[str, Any]) -> list[str]:
    content = message.get("content", "")
    if isinstance(content, str):
        return [content] if content else []
    return [part["text"] for part in content if part["type"] == "text"]


def _media_parts(request: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for message in request["messages"]:
        if isinstance(message.get("content"), list):
            yield from (part for part in message["content"] if part["type"] != "text")
