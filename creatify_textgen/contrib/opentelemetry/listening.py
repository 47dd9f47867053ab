"""Connects the spans to the observer of `remote` and to the signals."""

from __future__ import annotations

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from creatify_textgen.contrib.opentelemetry.calls import CallObserver
from creatify_textgen.contrib.opentelemetry.generations import GenerationSpans
from creatify_textgen.remote.observation import observe_with
from creatify_textgen.signals import generation_finished

__all__ = ["UID", "listen"]

UID = "creatify_textgen.opentelemetry"


def listen(tracers: TracerProvider | None = None, meters: MeterProvider | None = None) -> None:
    """Report from now on to these providers, or to those that the site has set for all."""
    observe_with(CallObserver(tracers, meters))
    # Django ignores a second receiver with the same uid, which would keep the old providers.
    generation_finished.disconnect(dispatch_uid=UID)
    spans = GenerationSpans(tracers, meters)
    # A strong reference, because nothing else keeps the object.
    generation_finished.connect(spans.finished, weak=False, dispatch_uid=UID)
