"""The seam at which one observer, such as `contrib.opentelemetry`, watches calls of the remote.

Invariant: no error of an observer reaches a call, because the answer to a call may be paid for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, NamedTuple, Protocol

from creatify_textgen.logs import REMOTE, warn_of
from creatify_textgen.remote.chunks import Chunk
from creatify_textgen.remote.contract import RemoteGeneration

__all__ = [
    "Call",
    "Observation",
    "Observer",
    "Watch",
    "asked_by",
    "observe_with",
    "observed",
    "traceparent",
]

_asked_by: ContextVar[Sequence[str]] = ContextVar("asked_by", default=())


class Call(NamedTuple):
    """A call that begins."""

    operation: Literal["create", "stream", "get", "list", "credits"]
    base_url: str
    model_name: str = ""
    """Of a create or a stream."""
    remote_id: str = ""
    """Of a get."""
    asked_by: Sequence[str] = ()
    """The `traceparent` of each request that this call serves, if it is known."""


class Watch(Protocol):
    """What an observer keeps of one call. `end` is called once, maybe in another thread."""

    def leave(self) -> None:
        """The stream is open, and its caller goes on with other work."""

    def take(self, chunk: Chunk) -> None: ...

    def end(self, answer: RemoteGeneration | None, error: BaseException | None) -> None:
        """`answer` is that of a create or a get; an error may quote the remote."""


class Observer(Protocol):
    """What a program passes to `observe_with`."""

    def traceparent(self) -> str:
        """Return the trace context of the code that runs now (W3C, 55 characters), or ""."""

    def begin(self, call: Call) -> Watch: ...


class _Current:
    observer: Observer | None = None


def observe_with(observer: Observer | None) -> None:
    """Let this observer watch every call of this process from now on; None for nobody."""
    _Current.observer = observer


def traceparent() -> str:
    """Return the trace context of the code that runs now, or "" without an observer."""
    observer = _Current.observer
    return "" if observer is None else _quietly(observer.traceparent) or ""


@contextmanager
def asked_by(traceparents: Sequence[str]) -> Iterator[None]:
    """Say for which requests the calls in this block are made."""
    token = _asked_by.set([origin for origin in traceparents if origin])
    try:
        yield
    finally:
        _asked_by.reset(token)


class Observation:
    """One call and the observer's watch on it, if there is an observer."""

    def __init__(self, operation: Any, base_url: str, **facts: str) -> None:
        self.answer: RemoteGeneration | None = None
        self._watch: Watch | None = None
        if (observer := _Current.observer) is not None:
            call = Call(operation, base_url, asked_by=_asked_by.get(), **facts)
            self._watch = _quietly(observer.begin, call)

    def leave(self) -> None:
        if self._watch is not None:
            _quietly(self._watch.leave)

    def take(self, chunk: Chunk) -> None:
        if self._watch is not None:
            _quietly(self._watch.take, chunk)

    def end(self, error: BaseException | None = None) -> None:
        """Report the end. May be called twice: the second time does nothing."""
        watch, self._watch = self._watch, None
        if watch is not None:
            _quietly(watch.end, self.answer, error)


@contextmanager
def observed(operation: str, base_url: str, **facts: str) -> Iterator[Observation]:
    """Observe the call in this block, which may set the `answer` of what is yielded."""
    observation = Observation(operation, base_url, **facts)
    try:
        yield observation
    except BaseException as error:
        observation.end(error)
        raise
    observation.end()


def _quietly(report: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return report(*arguments)
    except Exception as error:  # noqa: BLE001  an observer may fail in any way
        # Without its traceback, whose frames may have the keys.
        name = type(error).__name__
        warn_of(("observer", name), REMOTE, "The observer of calls failed (%s).", name)
        return None
