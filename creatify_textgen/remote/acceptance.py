"""Finds the generation that an unusual answer names: an error, a page, events, a cut body.

Pure. An error may repeat our request, and may have an id. So only those fields count that the
remote itself writes, and only into generations. Invariant: in doubt an id counts. At worst its row
waits until the remote answers that it does not know the id.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from creatify_textgen import remote_ids
from creatify_textgen.exceptions import StreamError
from creatify_textgen.remote import wire
from creatify_textgen.remote.charsets import decoded
from creatify_textgen.remote.contract import GENERATIONS_PATH
from creatify_textgen.remote.sse import read_events

__all__ = ["accepted_id", "is_error", "words_beside_echo"]

_ACCEPTED = ("pending", "running", "done")
"""Not `failed`: a request that was refused may be called that as well."""
_ONLY_IN_GENERATIONS = frozenset(
    ["response_text", "response_function_calls", "failed_reason", "credits_used"]
)
_ECHO = frozenset(["messages", "system_instruction", "config", "tools", "tool_config"])
"""What the caller wrote, in which any word and any id may be."""
_ERRORS = ("error", "detail")
# The end of a generation that was cut off is unknown, but its id is first (section 4).
_BEGINS_WITH_ID = re.compile(
    r'\s*\{\s*"id"\s*:\s*"([^"\\]+)"(?!\s*,\s*"(?:error|errors|detail|message|code|type)")'
)
_BEGINS_AS_EVENTS = re.compile(r"\s*(?::|(?:data|event|id|retry):)")
# Also of the older resource (section 2.1). No word such as `errors` or `docs` is an id.
_PLACE = re.compile(rf"(?:{GENERATIONS_PATH}|/api/text_generator/)([^/]*[0-9][^/]*)/?")


def accepted_id(body: bytes, headers: Mapping[str, str], *, url: str) -> str:
    """Return the id, as it is sent, of the generation that an answer has or points to; or "".

    `url` was asked.
    """
    return _id_in_body(body) or _id_in_place(headers, url=url)


def _id_in_body(body: bytes) -> str:
    text = decoded(body)
    try:
        value, _ = wire.scan(text, len(text) - len(text.lstrip()))
    except ValueError:
        begun = _BEGINS_WITH_ID.match(text)
        return remote_ids.sent_identifier(begun[1]) or "" if begun else _id_in_events(text)
    if isinstance(value, list) and len(value) == 1:
        (value,) = value
    fields = wire.mapping(value)
    # Also one level below, because a gateway may put an answer into an envelope.
    inner = (wire.mapping(item) for name, item in fields.items() if name not in _ECHO)
    return next(filter(None, map(_id_if_generation, (fields, *inner))), "")


def _id_in_events(text: str) -> str:
    """Return the id in the events of a stream: a receipt (section 6.3) or a generation.

    A gateway that streams every answer may write the answer to a create so.
    """
    if not _BEGINS_AS_EVENTS.match(text):
        return ""
    body = text.encode("utf-8", "replace")
    try:
        for event in read_events([body], cap=len(body)):
            if found := _id_in_event(event.data):
                return found
    except StreamError:  # Too many lines.
        pass
    return ""


def _id_in_event(text: str) -> str:
    try:
        fields = wire.mapping(wire.load(text))
    except ValueError:
        return ""
    receipt = wire.mapping(fields.get("creatify"))
    return remote_ids.sent_identifier(receipt.get("id")) or _id_if_generation(fields)


def is_error(fields: Mapping[str, Any]) -> bool:
    """Whether an object in an answer of success reports an error, and is no generation."""
    is_generation = _status(fields) == "failed" or _id_if_generation(fields)
    return any(map(fields.get, _ERRORS)) and not is_generation


def words_beside_echo(value: Any, *, levels: int = 4) -> Iterator[str]:
    """Yield the texts in an error's body, without what it repeats of our request."""
    if isinstance(value, str):
        yield value
    elif levels and isinstance(value, list):
        for item in value:
            yield from words_beside_echo(item, levels=levels - 1)
    elif levels and isinstance(value, dict):
        for name, item in value.items():
            if name not in _ECHO:
                yield name
                yield from words_beside_echo(item, levels=levels - 1)


def _id_if_generation(fields: Mapping[str, Any]) -> str:
    is_one = _status(fields) in _ACCEPTED or not _ONLY_IN_GENERATIONS.isdisjoint(fields)
    return remote_ids.sent_identifier(fields.get("id")) or "" if is_one else ""


def _status(fields: Mapping[str, Any]) -> str:
    return wire.word(fields.get("status")).lower()


def _id_in_place(headers: Mapping[str, str], *, url: str) -> str:
    places = filter(None, map(headers.get, ("location", "content-location")))
    return next(filter(None, (_id_of_url(place, url=url) for place in places)), "")


def _id_of_url(place: str, *, url: str) -> str:
    try:
        target, asked = urlsplit(urljoin(url, wire.text(place))), urlsplit(url)
        is_ours = target.hostname == asked.hostname
    except ValueError:
        return ""
    # Behind a proxy the remote may not know of the beginning of our base URL's path.
    prefix = asked.path.partition(GENERATIONS_PATH)[0]
    found = _PLACE.fullmatch(target.path.removeprefix(prefix))
    return remote_ids.sent_identifier(unquote(found[1])) or "" if found and is_ours else ""
