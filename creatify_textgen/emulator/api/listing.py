"""The list: which generations it shows, as of when, in which order, as an array or in pages.

The switches may make it incomplete, out of date or unreadable; the generations stay as they are.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import parse_qs

from creatify_textgen.emulator.http.exchange import Answer, AnyAnswer, Pieces, dump_json

from .calls import Call
from .rendering import render_generation
from .state import RemoteGeneration

__all__ = ["list_answer"]

LISTED_AT_ONCE = 100
# JSON of each kind that is not an object with an id of text.
NO_GENERATIONS = (b"null", b'"generation"', b'{"id":7,"status":"done"}', b"[]")

# Python refuses to read numbers of more than 4300 digits, with a ValueError.
LONGEST_PAGE_NUMBER = 9

Item = RemoteGeneration | bytes
"""A generation, or JSON that is not one."""


def list_answer(generations: Sequence[RemoteGeneration], *, call: Call, now: datetime) -> AnyAnswer:
    """Return the answer to GET of the list, from all generations of the workspace, oldest first."""
    lag = call.settings.list_lag
    # `stored_at` is None while `store_delay` lasts: charged already, and visible nowhere.
    known = [each for each in generations if each.stored_at is not None and each.is_visible]
    if lag:
        known = as_of(known, moment=now - timedelta(seconds=lag))
    items = damaged(arranged(known, call=call), call=call)
    if call.settings.list_style == "results":
        return truncated(page_of(items, call=call), call=call)
    if call.settings.list_damage == "truncated":
        body = b"[" + b",".join(written_one(each, call=call) for each in items) + b"]"
        return truncated(Answer(200, body), call=call)
    return Pieces(written(items, call=call))


def as_of(generations: Sequence[RemoteGeneration], *, moment: datetime) -> list[RemoteGeneration]:
    """Return the generations as the list knew them at this moment."""
    # A list from a replica (contract, section 11, 26b): a new generation is missing, and one that
    # has ended since still runs.
    return [
        each if each.ended_at is None or each.ended_at <= moment else unfinished(each)
        for each in generations
        if each.stored_at is not None and each.stored_at <= moment
    ]


def unfinished(generation: RemoteGeneration) -> RemoteGeneration:
    """Return a copy of a generation as it was before its end."""
    return replace(
        generation,
        status="running",
        response_text="",
        response_function_calls=[],
        failed_reason="",
        credits_used=0,
    )


def arranged(generations: list[RemoteGeneration], *, call: Call) -> list[RemoteGeneration]:
    """Order generations, given oldest first, and shorten the list, as the switches say."""
    settings = call.settings
    # First what is kept, then the order: a list may lose its newest end and still begin with the
    # newest of the rest.
    limit = settings.list_limit or len(generations)
    if settings.list_keep == "oldest":
        generations = generations[:limit]
    elif settings.list_keep == "newest":
        generations = generations[-limit:]
    if settings.list_order == "newest":
        generations = generations[::-1]
    elif settings.list_order == "shuffled":
        generations = random.sample(generations, len(generations))
    return generations[:limit]


def damaged(generations: list[RemoteGeneration], *, call: Call) -> list[Item]:
    """Return the items of the list, some of them unreadable if the switches say so."""
    damage = call.settings.list_damage
    if damage == "strange_items":
        return [*NO_GENERATIONS[:2], *generations, *NO_GENERATIONS[2:]]
    if damage == "unreadable_newest" and generations:
        newest = max(generations, key=lambda each: each.created_at)
        return [unreadable(each, call=call) if each is newest else each for each in generations]
    return list(generations)


def unreadable(generation: RemoteGeneration, *, call: Call) -> bytes:
    """Return a generation as JSON without an id that can be read."""
    return dump_json({**rendered(generation, call=call), "id": {"uuid": generation.id}})


def truncated(answer: Answer, *, call: Call) -> Answer:
    """Return the answer, cut within its JSON if the switches say so."""
    if call.settings.list_damage != "truncated":
        return answer
    return replace(answer, body=answer.body[: len(answer.body) * 2 // 3])


async def written(items: list[Item], *, call: Call) -> AsyncIterator[bytes]:
    """Write an array piece by piece, so that a long list does not block the loop."""
    opening = b"["
    for start in range(0, len(items), LISTED_AT_ONCE):
        page = items[start : start + LISTED_AT_ONCE]
        yield opening + b",".join(written_one(each, call=call) for each in page)
        opening = b","
        await asyncio.sleep(0)
    yield b"]" if items else b"[]"


def written_one(item: Item, *, call: Call) -> bytes:
    return item if isinstance(item, bytes) else dump_json(rendered(item, call=call))


def rendered(generation: RemoteGeneration, *, call: Call) -> dict[str, object]:
    return render_generation(generation, settings=call.settings, legacy=call.route.legacy)


def page_of(items: list[Item], *, call: Call) -> Answer:
    """Return one page of `{results, next}`."""
    head, size = call.request.head, max(1, call.settings.list_page_size)
    asked = parse_qs(head.query).get("page", ["1"])[0]
    is_number = asked.isascii() and asked.isdigit() and len(asked) <= LONGEST_PAGE_NUMBER
    page = max(1, int(asked)) if is_number else 1
    following = f"http://{head.headers.get('host', '')}{head.path}?page={page + 1}"
    # An endless list repeats its pages, so a reader needs a limit other than the last page.
    if call.settings.list_next == "endless":
        more, start = True, (page - 1) * size % max(1, len(items))
    else:
        start = (page - 1) * size
        more = call.settings.list_next == "honest" and start + size < len(items)
    shown = b",".join(written_one(each, call=call) for each in items[start : start + size])
    body = b'{"results":[%b],"next":%b}' % (shown, dump_json(following if more else None))
    return Answer(200, body)
