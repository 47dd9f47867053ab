"""The trace of the request that asked: written on a row as text, and read from it again."""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

__all__ = ["current_traceparent", "link_to", "parent_of", "place_of"]

# Not the site's own propagators: the column of the row holds a W3C `traceparent` and nothing else.
_w3c = TraceContextTextMapPropagator()


def current_traceparent() -> str:
    """Return the context of the current span as a W3C `traceparent`, or ""."""
    carrier: dict[str, str] = {}
    _w3c.inject(carrier)
    return carrier.get("traceparent", "")


def place_of(origins: Iterable[str]) -> tuple[Context | None, list[SpanContext]]:
    """Return the parent of a new span, and the spans that it links to.

    The parent is the current span (None stands for it), such as the sweep. Without one it is the
    request that asked, if there is only one. Other requests are linked.
    """
    asked = [found for origin in origins if (found := _read(origin)).is_valid]
    # A poll of many rows at once has many requests, and a span has only one parent.
    current = trace.get_current_span().get_span_context()
    if current.is_valid or len(asked) != 1:
        return None, [origin for origin in asked if origin.trace_id != current.trace_id]
    return trace.set_span_in_context(trace.NonRecordingSpan(asked[0])), []


def parent_of(origin: str) -> Context | None:
    """Return the request that asked as a parent; None, which is the current span, if unknown."""
    asked = _read(origin)
    return trace.set_span_in_context(trace.NonRecordingSpan(asked)) if asked.is_valid else None


def link_to(origin: str) -> None:
    """Link the current span to the request that asked, unless both are in one trace."""
    asked, current = _read(origin), trace.get_current_span()
    if asked.is_valid and asked.trace_id != current.get_span_context().trace_id:
        current.add_link(asked)


def _read(origin: str) -> SpanContext:
    # An unreadable text leaves the context empty, and the span of that is invalid.
    context = _w3c.extract({"traceparent": origin}, Context())
    return trace.get_current_span(context).get_span_context()
