"""Spans and metrics: what they say, which request they belong to, and what they never have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from creatify_textgen import clock, services
from creatify_textgen.contrib.opentelemetry import listening
from creatify_textgen.dispatch.callbacks import make_token
from creatify_textgen.emulator import Emulator
from creatify_textgen.exceptions import TextgenError
from creatify_textgen.models import Generation
from creatify_textgen.remote.observation import observe_with
from creatify_textgen.services.health import ask_balance
from creatify_textgen.signals import generation_finished
from tests.faults import sentinels

pytestmark = pytest.mark.django_db(transaction=True)

GENERATION = "invoke_workflow creatify_textgen.generation"
MODEL = "gemini-3-flash-preview"


class Telemetry:
    """What the SDK has collected."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._reader = InMemoryMetricReader()
        self.meters = MeterProvider([self._reader])
        self._host = self.tracers.get_tracer("host")

    def during(self, name: str) -> Any:
        """Return a span of the site around the code of a `with` block."""
        return self._host.start_as_current_span(name)

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self._exporter.get_finished_spans() if span.name == name]

    def span(self, name: str) -> ReadableSpan:
        [found] = self.spans(name)
        return found

    def points(self, name: str) -> list[Any]:
        collected = self._reader.get_metrics_data()
        return [
            point
            for resource in (collected.resource_metrics if collected else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    def everything(self) -> str:
        spans = [span.to_json() for span in self._exporter.get_finished_spans()]
        collected = self._reader.get_metrics_data()
        return "".join([*spans, collected.to_json() if collected else ""])


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    collected = Telemetry()
    listening.listen(collected.tracers, collected.meters)
    yield collected
    observe_with(None)
    generation_finished.disconnect(dispatch_uid=listening.UID)
    collected.tracers.shutdown()
    collected.meters.shutdown()


def submit(telemetry: Telemetry, **fields: Any) -> tuple[Generation, ReadableSpan]:
    with telemetry.during("request"):
        generation = services.submit("Hello", **fields)
    return generation, telemetry.span("request")


def finish(generation: Generation, remote: Emulator) -> None:
    services.send_generation(generation.pk)
    Generation.objects.update(due_at=clock.now())
    services.sweep()
    assert Generation.objects.get(pk=generation.pk).is_final


class TestGeneration:
    def test_has_a_span_from_its_request_to_its_end(
        self, telemetry: Telemetry, remote: Emulator
    ) -> None:
        generation, request = submit(telemetry, model_name=MODEL)
        finish(generation, remote)
        row, span = Generation.objects.get(), telemetry.span(GENERATION)
        assert span.attributes["gen_ai.request.model"] == MODEL
        assert span.attributes["gen_ai.response.id"] == row.remote_id
        assert span.attributes["creatify_textgen.generation"] == str(row.pk)
        assert span.attributes["creatify_textgen.credits"] == float(row.credits_used)
        assert span.start_time == int(row.created_at.timestamp() * 1e9)
        assert span.end_time == int(row.finished_at.timestamp() * 1e9)
        assert span.status.status_code == StatusCode.UNSET
        assert span.parent.span_id == request.context.span_id

    def test_and_what_ended_it_link_to_each_other(
        self, telemetry: Telemetry, remote: Emulator
    ) -> None:
        generation, request = submit(telemetry)
        services.send_generation(generation.pk)
        Generation.objects.update(due_at=clock.now())
        with telemetry.during("sweep"):
            services.sweep()
        sweep, span = telemetry.span("sweep"), telemetry.span(GENERATION)
        assert [link.context.span_id for link in sweep.links] == [request.context.span_id]
        assert [link.context.span_id for link in span.links] == [sweep.context.span_id]

    def test_links_to_the_delivery_that_ended_it(
        self, telemetry: Telemetry, remote: Emulator, settings: Any
    ) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "CONFIRM_WEBHOOKS": False}
        generation, request = submit(telemetry)
        services.send_generation(generation.pk)
        remote_id = Generation.objects.get().remote_id
        body = f'{{"id": "{remote_id}", "status": "done", "response_text": "Hi."}}'.encode()
        with telemetry.during("delivery"):
            services.receive_delivery(generation.pk, token=make_token(generation.pk), body=body)
        delivery = telemetry.span("delivery")
        assert [link.context.span_id for link in delivery.links] == [request.context.span_id]

    def test_that_failed_says_why(self, telemetry: Telemetry, remote: Emulator) -> None:
        remote.switches.set(error_at_create="400")
        generation, _ = submit(telemetry)
        services.send_generation(generation.pk)
        span, call = telemetry.span(GENERATION), telemetry.spans(f"generate_content {MODEL}")[-1]
        code = Generation.objects.get().error_code
        for failed in (span, call):
            assert failed.attributes["error.type"] == code == "invalid_request"
            assert failed.status.status_code == StatusCode.ERROR

    def test_of_a_site_that_traces_nothing_begins_a_trace(
        self, telemetry: Telemetry, remote: Emulator
    ) -> None:
        finish(services.submit("Hello"), remote)
        assert Generation.objects.get().traceparent == ""
        assert telemetry.span(GENERATION).parent is None

    def test_counts_in_a_histogram(self, telemetry: Telemetry, remote: Emulator) -> None:
        finish(services.submit("Hello", model_name="gemini-of-a-caller"), remote)
        [point] = telemetry.points("creatify_textgen.generation.duration")
        assert point.count == 1
        assert point.attributes["creatify_textgen.status"] == "done"
        assert point.attributes["gen_ai.request.model"] == "other"


class TestCall:
    def test_of_a_task_belongs_to_the_request_that_asked(
        self, telemetry: Telemetry, remote: Emulator
    ) -> None:
        generation, request = submit(telemetry, model_name=MODEL)
        finish(generation, remote)
        for name in (f"generate_content {MODEL}", "fetch_response"):
            call = telemetry.span(name)
            assert call.parent.span_id == request.context.span_id
            assert call.kind == SpanKind.CLIENT
            assert call.attributes["server.address"] == "127.0.0.1"
            assert call.attributes["gen_ai.response.id"] == Generation.objects.get().remote_id
        assert telemetry.span("fetch_response").attributes["gen_ai.response.status"] == "done"

    def test_inside_a_traced_task_links_to_the_request(
        self, telemetry: Telemetry, remote: Emulator
    ) -> None:
        generation, request = submit(telemetry)
        with telemetry.during("task"):
            services.send_generation(generation.pk)
        call, task = telemetry.span(f"generate_content {MODEL}"), telemetry.span("task")
        assert call.parent.span_id == task.context.span_id
        assert [link.context.span_id for link in call.links] == [request.context.span_id]

    def test_of_a_list_links_to_every_request_that_waits_for_it(
        self, telemetry: Telemetry, remote: Emulator
    ) -> None:
        remote.switches.set(reset_after_accept=True)
        asked = []
        for number in range(2):
            with telemetry.during(f"request {number}"):
                services.send_generation(services.submit(f"Say {number}").pk)
            asked.append(telemetry.span(f"request {number}").context.span_id)
        Generation.objects.update(due_at=clock.now())
        services.sweep()
        listed = telemetry.spans("creatify list")[0]
        assert {link.context.span_id for link in listed.links} == set(asked)

    def test_of_a_stream_has_its_tokens(self, telemetry: Telemetry, remote: Emulator) -> None:
        stream = services.stream("Hello", model_name=MODEL)
        list(stream)
        row, call = stream.generation, telemetry.span(f"generate_content {MODEL}")
        usage = row.content.usage
        assert call.attributes["gen_ai.request.stream"] is True
        assert call.attributes["gen_ai.response.model"] == row.model_version
        assert call.attributes["gen_ai.response.finish_reasons"] == ("STOP",)
        assert call.attributes["gen_ai.response.id"] == row.remote_id
        for span in (call, telemetry.span(GENERATION)):
            assert span.attributes["gen_ai.usage.input_tokens"] == usage["prompt_token_count"]
            assert span.attributes["gen_ai.usage.output_tokens"] == usage["candidates_token_count"]
        points = telemetry.points("gen_ai.client.token.usage")
        sums = {point.attributes["gen_ai.token.type"]: point.sum for point in points}
        assert sums == {
            "input": usage["prompt_token_count"],
            "output": usage["candidates_token_count"],
        }
        [seconds] = telemetry.points("gen_ai.client.operation.duration")
        assert seconds.count == 1
        assert telemetry.points("gen_ai.client.operation.time_to_first_chunk")[0].count == 1

    def test_of_a_stream_that_breaks_off_ends_with_its_error(
        self, telemetry: Telemetry, remote: Emulator
    ) -> None:
        remote.switches.set(stream_fault="cut_mid_event")
        list(services.stream("Hello"))
        call = telemetry.span(f"generate_content {MODEL}")
        assert call.attributes["error.type"] == "stream_interrupted"

    def test_that_stays_open_is_not_its_caller_s_current_span(
        self, telemetry: Telemetry, remote: Emulator
    ) -> None:
        """The pump's thread goes on with other work, such as the database."""
        before = trace.get_current_span()
        list(services.stream("Hello"))
        assert trace.get_current_span() is before

    def test_of_the_doctor_is_seen_too(self, telemetry: Telemetry, remote: Emulator) -> None:
        ask_balance("default")
        remote.switches.set(error_at_credits="500")
        with pytest.raises(TextgenError):
            ask_balance("default")
        first, second = telemetry.spans("creatify credits")
        assert "error.type" not in first.attributes
        assert second.attributes["error.type"] == "remote_unavailable"
        assert not second.events


class TestSecrets:
    @pytest.mark.parametrize("status", [200, 400])
    def test_are_in_no_span_and_no_metric(
        self, telemetry: Telemetry, settings: Any, status: int
    ) -> None:
        """Even if the remote writes back all that it was sent."""
        with sentinels.echoing_remote(status, settings=settings):
            with telemetry.during("request"):
                sentinels.submit_and_send()
            list(services.stream(sentinels.PROMPT))
            with pytest.raises(TextgenError):
                ask_balance("default")
        said = telemetry.everything()
        assert said.count("error.type") >= 3
        sentinels.assert_free_of_secrets(said)


class TestObserver:
    def test_that_fails_costs_no_answer(self, remote: Emulator, caplog: Any) -> None:
        class Broken:
            def traceparent(self) -> str:
                raise RuntimeError("sentinel")

            def begin(self, call: object) -> Any:
                raise RuntimeError("sentinel")

        observe_with(Broken())
        try:
            assert services.generate("Hello").status == "done"
        finally:
            observe_with(None)
        assert "RuntimeError" in caplog.text
        assert "sentinel" not in caplog.text

    def test_whose_watch_fails_costs_no_chunk(self, remote: Emulator) -> None:
        class Broken:
            def traceparent(self) -> str:
                return ""

            def begin(self, call: object) -> Any:
                return self

            def fail(self, *_: object) -> None:
                raise RuntimeError

            leave = take = end = fail

        observe_with(Broken())
        try:
            stream = services.stream("Hello")
            assert "".join(chunk.text for chunk in stream)
        finally:
            observe_with(None)
