"""Places in the code at which a process kills itself, as `kill -9` would from outside.

A point is before or after a call of a function that is named by its dotted path; the function
itself is the app's own and runs as ever.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import wraps
from importlib import import_module
from typing import Any

__all__ = ["KillPoint", "install"]


@dataclass(frozen=True, kw_only=True)
class KillPoint:
    target: str
    """`package.module:function` or `package.module:Class.method`, where it is looked up."""
    when: str
    """`before` or `after` the call."""
    nth: int = 1
    """Which of its calls."""
    only: str = ""
    """`argument` or `result`: calls count only where the first argument or the result is not
    empty."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def install(point: KillPoint) -> None:
    """Have this process end at the point, without a last word."""
    module, _, path = point.target.partition(":")
    owner: Any = import_module(module)
    *classes, name = path.split(".")
    for each in classes:
        owner = getattr(owner, each)
    setattr(owner, name, _deadly(getattr(owner, name), point))


def _deadly(function: Callable[..., Any], point: KillPoint) -> Callable[..., Any]:
    calls = 0

    def is_reached(*, evidence: Any) -> bool:
        nonlocal calls
        calls += not point.only or bool(evidence)
        return calls == point.nth

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if point.when == "before" and is_reached(evidence=args and args[0]):
            _die()
        result = function(*args, **kwargs)
        if point.when == "after" and is_reached(
            evidence=result if point.only == "result" else args and args[0]
        ):
            _die()
        return result

    return call


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()
