"""The verbs for async code, named with an `a` in front. Each runs the sync verb in a thread.

`agenerate` and `await_` may wait for minutes, so they have separate threads. The others share
Django's thread for sync code, as the ORM needs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import connections

from creatify_textgen.recovery.settlement import settle
from creatify_textgen.retention import erase, export, prune
from creatify_textgen.services.blocking import generate
from creatify_textgen.services.budgets import estimate
from creatify_textgen.services.credits import credits as read_credits
from creatify_textgen.services.operations import cancel, delete, refresh, stop, wait
from creatify_textgen.services.submission import retry, submit, submit_many

__all__ = [
    "acancel",
    "acredits",
    "aestimate",
    "aerase",
    "aexport",
    "agenerate",
    "aprune",
    "arefresh",
    "aretry",
    "asettle",
    "asubmit",
    "asubmit_many",
    "adelete",
    "astop",
    "await_",
]

Params = ParamSpec("Params")
Result = TypeVar("Result")


def closing_connections(verb: Callable[Params, Result]) -> Callable[Params, Result]:
    """Return the verb for a separate thread."""

    # Django closes connections at the end of a request, but only those of the request's thread.
    # Not `close_old_connections`: with `CONN_MAX_AGE` it would leave one open in each thread of the
    # event loop's pool.
    @wraps(verb)
    def call(*args: Params.args, **kwargs: Params.kwargs) -> Result:
        try:
            return verb(*args, **kwargs)
        finally:
            connections.close_all()

    return call


# Not an `async def` for each: these keep the arguments and the docstring of the verb.
asubmit = sync_to_async(submit)
asubmit_many = sync_to_async(submit_many)
arefresh = sync_to_async(refresh)
aretry = sync_to_async(retry)
acancel = sync_to_async(cancel)
asettle = sync_to_async(settle)
acredits = sync_to_async(read_credits)
# The shared thread runs one call at a time, so this call would hold up all others for minutes.
agenerate = sync_to_async(closing_connections(generate), thread_sensitive=False)
aestimate = sync_to_async(estimate)
aerase = sync_to_async(erase)
aexport = sync_to_async(export)
aprune = sync_to_async(prune)
astop = sync_to_async(stop)
adelete = sync_to_async(delete)
await_ = sync_to_async(closing_connections(wait), thread_sensitive=False)
