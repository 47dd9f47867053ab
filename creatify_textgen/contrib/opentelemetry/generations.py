"""A span for each generation, from the request to its end, and the histogram of that time.

It is made by hand, with the times of the row: it began in another process, and
`opentelemetry-util-genai` measures only what begins and ends in one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from opentelemetry import trace
from opentelemetry.metrics import MeterProvider, get_meter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai
from opentelemetry.semconv.attributes import error_attributes
from opentelemetry.trace import Link, StatusCode, TracerProvider

from creatify_textgen import __version__, clock
from creatify_textgen.contrib.opentelemetry.calls import (
    PROVIDER,
    SCOPE,
    metric_model,
    token_counts,
)
from creatify_textgen.contrib.opentelemetry.origins import link_to, parent_of
from creatify_textgen.models import Generation, GenerationContent
from creatify_textgen.states import Mode, Status

__all__ = ["GenerationSpans"]

WORKFLOW = "creatify_textgen.generation"
# Not an inference: the call has that span (`calls.py`), and a backend would count both.
OPERATION = gen_ai.GenAiOperationNameValues.INVOKE_WORKFLOW.value
UNNAMED_ERROR = "failed"


class GenerationSpans:
    """Receives `generation_finished`."""

    def __init__(
        self, tracers: TracerProvider | None = None, meters: MeterProvider | None = None
    ) -> None:
        self._tracer = trace.get_tracer(SCOPE, __version__, tracers)
        self._seconds = get_meter(SCOPE, __version__, meters).create_histogram(
            "creatify_textgen.generation.duration",
            unit="s",
            description="From the request to the final status.",
        )

    def finished(self, *, generation: Generation, **_: Any) -> None:
        """Report a generation that has ended.

        Its span belongs to the trace of the request that asked, and links to what ended it: a
        sweep, a pump or a delivery. That span links back.
        """
        origin, ended_by = generation.traceparent, trace.get_current_span().get_span_context()
        # `start_span` and not `start_as_current_span`: the span began long ago, and nothing runs
        # inside it.
        span = self._tracer.start_span(
            f"{OPERATION} {WORKFLOW}",
            context=parent_of(origin),
            attributes={**_metric_attributes(generation), **_attributes(generation)},
            links=[Link(ended_by)] if ended_by.is_valid else [],
            start_time=_nanoseconds(generation.created_at),
        )
        if generation.status == Status.FAILED:
            span.set_status(StatusCode.ERROR, generation.error_code)
        span.end(_nanoseconds(generation.finished_at or generation.updated_at))
        link_to(origin)
        # Below zero if the database's clock was set back in between.
        if (seconds := generation.duration_seconds) is not None:
            self._seconds.record(max(seconds, 0.0), _metric_attributes(generation))


def _metric_attributes(generation: Generation) -> dict[str, Any]:
    # Each combination of values is a series, so no value here may be a text that callers choose.
    found = {
        gen_ai.GEN_AI_OPERATION_NAME: OPERATION,
        gen_ai.GEN_AI_PROVIDER_NAME: PROVIDER,
        gen_ai.GEN_AI_REQUEST_MODEL: metric_model(generation.model_name),
        "creatify_textgen.account": generation.account,
        "creatify_textgen.mode": str(generation.mode),
        "creatify_textgen.status": str(generation.status),
    }
    if generation.status == Status.FAILED:
        found[error_attributes.ERROR_TYPE] = generation.error_code or UNNAMED_ERROR
    return found


def _attributes(generation: Generation) -> Mapping[str, Any]:
    usage = None
    if generation.mode == Mode.STREAM:  # Only streams report it.
        contents = GenerationContent.objects.filter(pk=generation.pk)
        usage = contents.values_list("usage", flat=True).first()
    input_tokens, output_tokens = token_counts(usage)
    finish, cost = generation.finish_reason, generation.credits_used
    facts = {
        gen_ai.GEN_AI_REQUEST_MODEL: generation.model_name,
        gen_ai.GEN_AI_RESPONSE_MODEL: generation.model_version or None,
        gen_ai.GEN_AI_RESPONSE_ID: generation.remote_id,
        gen_ai.GEN_AI_RESPONSE_FINISH_REASONS: [finish] if finish else None,
        gen_ai.GEN_AI_USAGE_INPUT_TOKENS: input_tokens,
        gen_ai.GEN_AI_USAGE_OUTPUT_TOKENS: output_tokens,
        "creatify_textgen.generation": str(generation.pk),
        "creatify_textgen.credits": None if cost is None else float(cost),
    }
    # What is unknown is left out: None would be exported as an attribute without a value.
    return {name: value for name, value in facts.items() if value is not None}


def _nanoseconds(stored: datetime) -> int:
    return int(clock.as_utc_range(stored)[0].timestamp() * 1e9)
