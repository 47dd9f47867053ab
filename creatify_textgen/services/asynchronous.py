"""The `a…` twins: the same verbs for async code, each the sync one in a thread.

What blocks for long (`agenerate`) gets a thread of its own, so that it holds nobody up.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import connections

from creatify_textgen.services.blocking import generate
from creatify_textgen.services.credits import credits as read_credits
from creatify_textgen.services.operations import cancel, refresh
from creatify_textgen.services.submission import retry, submit, submit_many

__all__ = ["acancel", "acredits", "agenerate", "arefresh", "aretry", "asubmit", "asubmit_many"]

Params = ParamSpec("Params")
Result = TypeVar("Result")


def _closing_connections(verb: Callable[Params, Result]) -> Callable[Params, Result]:
    @wraps(verb)
    def call(*args: Params.args, **kwargs: Params.kwargs) -> Result:
        try:
            return verb(*args, **kwargs)
        finally:
            connections.close_all()

    return call


asubmit = sync_to_async(submit)
asubmit_many = sync_to_async(submit_many)
arefresh = sync_to_async(refresh)
aretry = sync_to_async(retry)
acancel = sync_to_async(cancel)
acredits = sync_to_async(read_credits)
agenerate = sync_to_async(_closing_connections(generate), thread_sensitive=False)
