"""A span for each call of the remote, and what OpenTelemetry measures of a call to a model.

`opentelemetry-util-genai` makes them. Invariant: no key, prompt or answer is passed to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.metrics import MeterProvider
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai
from opentelemetry.semconv.attributes import error_attributes, server_attributes
from opentelemetry.trace import SpanKind, Status, StatusCode, TracerProvider, get_tracer
from opentelemetry.util.genai.handler import TelemetryHandler
from opentelemetry.util.genai.invocation import FetchResponseInvocation, InferenceInvocation
from opentelemetry.util.genai.types import Error

from creatify_textgen import __version__
from creatify_textgen.conf import conf
from creatify_textgen.contrib.opentelemetry.origins import current_traceparent, place_of
from creatify_textgen.remote import Chunk, RemoteGeneration
from creatify_textgen.remote.observation import Call, Watch

__all__ = ["OTHER", "PROVIDER", "SCOPE", "CallObserver", "metric_model", "token_counts"]

SCOPE = "creatify_textgen"
PROVIDER = "creatify"
GENERATE = gen_ai.GenAiOperationNameValues.GENERATE_CONTENT.value
OTHER = "other"


class CallObserver:
    """Watches the calls of this process."""

    def __init__(
        self,
        tracers: TracerProvider | None = None,
        meters: MeterProvider | None = None,
    ) -> None:
        self._tracer = get_tracer(SCOPE, __version__, tracers)
        self._handler = TelemetryHandler(
            tracers,
            meters,
            instrumentation_scope_name=SCOPE,
            instrumentation_scope_version=__version__,
        )

    def traceparent(self) -> str:
        return current_traceparent()

    def begin(self, call: Call) -> Watch:
        """Start the span of a call as the current one."""
        context, links = place_of(call.asked_by)
        url = urlsplit(call.base_url)
        place: dict[str, Any] = {
            "server_address": url.hostname,
            "server_port": url.port,
            "context": context,
        }
        watch: _SpanWatch
        match call.operation:
            case "create" | "stream":
                watch = _InferenceWatch(
                    self._handler.inference(
                        PROVIDER, request_model=call.model_name, operation_name=GENERATE, **place
                    )
                )
            case "get":
                watch = _FetchWatch(
                    self._handler.fetch_response(PROVIDER, response_id=call.remote_id, **place)
                )
            case other:
                watch = _SpanWatch(_PlainCall(self._tracer, other, url.hostname, context))
        for link in links:
            watch.invocation.span.add_link(link)
        return watch


def metric_model(name: str) -> str:
    """Return the name for a metric, which must have few values: callers may send any name."""
    return name if name in conf.models else OTHER


def token_counts(usage: Mapping[str, Any] | None) -> tuple[int | None, int | None]:
    """Return the tokens of the prompt and those of the answer; None for what is not reported."""
    found = usage or {}
    # Not the tokens of thoughts: Gemini counts them apart from those of the answer.
    counts = [found.get(f"{name}_token_count") for name in ("prompt", "candidates")]
    # The remote may send anything here, and a histogram takes no text and nothing below zero.
    known = [count if isinstance(count, int) and count >= 0 else None for count in counts]
    return known[0], known[1]


class _SpanWatch:
    """Ends the span of a call. It has the code of an error, and not its words."""

    def __init__(self, invocation: Any) -> None:
        self.invocation = invocation

    def leave(self) -> None:
        self.invocation.suspend()

    def take(self, chunk: Chunk) -> None:
        pass

    def end(self, answer: RemoteGeneration | None, error: BaseException | None) -> None:
        if answer is not None:
            self.answered(answer)
        if error is None:
            self.invocation.stop()
        else:
            # Not the text of the error: it may quote the request.
            code = getattr(error, "code", "") or type(error).__name__
            self.invocation.fail(Error(message=code, type=code))

    def answered(self, answer: RemoteGeneration) -> None:
        pass


class _InferenceWatch(_SpanWatch):
    invocation: InferenceInvocation

    def __init__(self, invocation: InferenceInvocation) -> None:
        super().__init__(invocation)
        # The span keeps the exact name. A metric would get a series for each name ever sent.
        name = invocation.request_model or ""
        invocation.metric_attributes[gen_ai.GEN_AI_REQUEST_MODEL] = metric_model(name)

    def take(self, chunk: Chunk) -> None:
        seen = self.invocation
        seen.record_stream_chunk()
        # Set, not added: each chunk that has counts has those of the whole answer so far.
        if usage := chunk.usage:
            seen.input_tokens, seen.output_tokens = token_counts(usage)
        if reason := chunk.finish_reason or chunk.block_reason:
            seen.finish_reasons = [reason]
        seen.response_model_name = chunk.model_version or seen.response_model_name
        if receipt := chunk.receipt:
            seen.response_id = receipt.id

    def answered(self, answer: RemoteGeneration) -> None:
        self.invocation.response_id = answer.id


class _FetchWatch(_SpanWatch):
    invocation: FetchResponseInvocation

    def answered(self, answer: RemoteGeneration) -> None:
        self.invocation.response_status = answer.status


class _PlainCall:
    """The list and the balance, for which the conventions have no operation."""

    def __init__(self, tracer: Any, name: str, host: str | None, context: Any) -> None:
        # The span begins here and ends in `stop` or `fail`, so no `with` block can hold it.
        self._stack = ExitStack()
        self.span = self._stack.enter_context(
            tracer.start_as_current_span(
                f"{PROVIDER} {name}",
                context=context,
                kind=SpanKind.CLIENT,
                attributes={
                    gen_ai.GEN_AI_PROVIDER_NAME: PROVIDER,
                    server_attributes.SERVER_ADDRESS: host or "",
                },
                # An exception's text may quote the request; `fail` sets the code alone.
                record_exception=False,
                set_status_on_exception=False,
            )
        )

    def stop(self) -> None:
        self._stack.close()

    def fail(self, error: Error) -> None:
        self.span.set_attribute(error_attributes.ERROR_TYPE, str(error.type))
        self.span.set_status(Status(StatusCode.ERROR, error.message))
        self.stop()
