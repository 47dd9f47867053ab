"""A generation's messages and result as blocks that a template can show one by one. Pure.

Rows that were made by hand or by older versions may have any content: unknown content is shown as
JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from creatify_textgen.admin.rendering import (
    Budget,
    format_json,
    format_json_text,
    render_text,
    show_control_chars,
)
from creatify_textgen.models import GenerationContent, Media, read_uuid

__all__ = ["Block", "Citation", "Conversation", "Turn", "find_media_ids", "read_conversation"]

LONGEST_LABEL = 200
LONGEST_LINK = 2000


class Block(NamedTuple):
    """One piece of text, JSON or media."""

    kind: str
    """`text`, `json`, `image`, `video` or `missing` (media that is no longer there)."""
    text: str = ""
    label: str = ""
    omitted: int = 0
    media: Media | None = None

    @property
    def markup(self) -> SafeString:
        """The text, escaped, with places to break."""
        return render_text(self.text)


class Turn(NamedTuple):
    """One message."""

    role: str
    blocks: list[Block]


class Citation(NamedTuple):
    """A source that the model named."""

    title: str
    uri: str
    """As it is shown."""
    link: str
    """The same if it is a plain web address, otherwise empty: see `_web_address`."""


@dataclass(slots=True)
class Conversation:
    """Everything that was asked and answered, ready to be shown."""

    turns: list[Turn] = field(default_factory=list)
    turns_omitted: int = 0
    settings: list[Block] = field(default_factory=list)
    answer: list[Block] = field(default_factory=list)
    raw_answer: Block | None = None
    """The answer as it was received, if `answer` shows it as indented JSON."""
    failed_reason: Block | None = None
    thoughts: Block | None = None
    citations: list[Citation] = field(default_factory=list)
    usage: list[tuple[str, str]] = field(default_factory=list)


def find_media_ids(messages: Any) -> set[UUID]:
    """Return the ids of all media that the messages name."""
    parts = (part for message in _items(messages) for part in _parts_of(message))
    return {identifier for part in parts if (identifier := read_uuid(part.get("media")))}


def read_conversation(content: GenerationContent, *, media: Mapping[UUID, Media]) -> Conversation:
    """Return the content as blocks. If the page has no room for all, the request is cut."""
    budget = Budget()
    conversation = Conversation()
    # Not in the order of the page: a long request would leave no room for the result.
    _read_result(content, conversation, budget)
    conversation.settings = list(_read_settings(content, budget))
    messages = _items(content.messages)
    for message in messages:
        if budget.is_spent:
            break
        conversation.turns.append(_read_turn(message, media=media, budget=budget))
    conversation.turns_omitted = len(messages) - len(conversation.turns)
    return conversation


def _read_result(content: GenerationContent, conversation: Conversation, budget: Budget) -> None:
    text = content.response_text
    # Both forms, because a person who reports a wrong answer needs it as it came.
    laid_out = format_json_text(text)
    if laid_out is not None:
        conversation.answer.append(_block("json", laid_out, budget))
        conversation.raw_answer = _block("text", text, budget)
    elif text:
        conversation.answer.append(_block("text", text, budget))
    for call in _items(content.response_function_calls):
        if not budget.is_spent:
            conversation.answer.append(_call_block(call, _("Calls %s"), "args", budget))
    if content.failed_reason:
        conversation.failed_reason = _block("text", content.failed_reason, budget)
    if content.response_thoughts:
        conversation.thoughts = _block("text", content.response_thoughts, budget)
    conversation.citations = [_citation(c) for c in _items(content.citations)[:200]]
    # Gemini's `usageMetadata` has lists, too: tokens by modality (contract, section 6.3).
    usage = content.usage if isinstance(content.usage, dict) else {}
    conversation.usage = [(_label(key), _label(_plain(count))) for key, count in usage.items()]


def _read_settings(content: GenerationContent, budget: Budget) -> Iterator[Block]:
    if content.system_instruction:
        yield _block("text", content.system_instruction, budget, label=_("System instruction"))
    for label, value in (
        (_("Configuration"), content.config),
        (_("Tools"), content.tools),
        (_("Tool configuration"), content.tool_config),
        (_("Extra fields"), content.extra),
    ):
        if value:
            yield _block("json", format_json(value), budget, label=label)


def _read_turn(message: Any, *, media: Mapping[UUID, Media], budget: Budget) -> Turn:
    if not isinstance(message, dict):
        return Turn("?", [_block("json", format_json(message), budget)])
    blocks: list[Block] = []
    # A string or a list of parts; at most one call and one response (contract, section 3.1).
    content = message.get("content")
    if isinstance(content, str) and content:
        blocks.append(_block("text", content, budget))
    blocks.extend(
        _part_block(part, media=media, budget=budget)
        for part in _parts_of(message)
        if not budget.is_spent
    )
    if "function_call" in message:
        blocks.append(_call_block(message["function_call"], _("Calls %s"), "args", budget))
    if "function_response" in message:
        response = message["function_response"]
        blocks.append(_call_block(response, _("Answer of %s"), "response", budget))
    return Turn(_label(message.get("role", "?")), blocks)


def _part_block(part: dict[str, Any], *, media: Mapping[UUID, Media], budget: Budget) -> Block:
    kind = part.get("type")
    if kind == "text" and isinstance(part.get("text"), str):
        return _block("text", part["text"], budget)
    if kind not in Media.Kind.values:
        return _block("json", format_json(part), budget)
    # Its markup takes room as well, and a request may name very many.
    budget.cut("")
    identifier = read_uuid(part.get("media"))
    found = media.get(identifier) if identifier else None
    label = _label(part.get("mime_type") or kind)
    if found is None:
        return Block("missing", label=label, text=_label(part.get("media") or ""))
    return Block(found.kind, label=label, media=found)


def _call_block(call: Any, wording: str, field_name: str, budget: Budget) -> Block:
    if not isinstance(call, dict):
        return _block("json", format_json(call), budget)
    label = wording % _label(call.get("name", "?"))
    return _block("json", format_json(call.get(field_name)), budget, label=label)


def _block(kind: str, text: str, budget: Budget, *, label: str = "") -> Block:
    cut = budget.cut(text)
    return Block(kind, text=cut.text, label=label, omitted=cut.omitted)


def _citation(value: Any) -> Citation:
    source = value if isinstance(value, dict) else {"title": value}
    uri = str(source.get("uri") or "")
    title = _label(source.get("title") or uri or format_json(source))
    link = _web_address(uri)
    return Citation(title, link or show_control_chars(uri[:LONGEST_LINK]), link)


def _web_address(uri: str) -> str:
    """Return the address with its host in ASCII, or "" if it is not a plain web address.

    A host in other letters may look like another one's, and so may a user name before the host.
    """
    if len(uri) > LONGEST_LINK or show_control_chars(uri) != uri:
        return ""
    try:
        parts = urlsplit(uri)
        host = (parts.hostname or "").encode("idna").decode("ascii")
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        # A port or a bracket that is wrong, or a host that IDNA does not know (a UnicodeError).
        return ""
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        return ""
    return parts._replace(netloc=f"[{host}]{port}" if ":" in host else f"{host}{port}").geturl()


def _parts_of(message: Any) -> list[dict[str, Any]]:
    # What is no part is shown as JSON, as a part of an unknown type is.
    content = message.get("content") if isinstance(message, dict) else None
    return [part if isinstance(part, dict) else {"?": part} for part in _items(content)]


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _label(value: Any) -> str:
    return show_control_chars(str(value)[:LONGEST_LABEL])


def _plain(value: Any) -> Any:
    return format_json(value) if isinstance(value, dict | list) else value
