"""The two calls that cost credits: create (async or sync) and stream.

A refused call creates nothing. After `Processing.accept` the generation exists and is billed,
whether or not the answer arrives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from creatify_textgen.emulator.faults.switches import Settings
from creatify_textgen.emulator.http.exchange import AnyAnswer, Reset, Stream, json_answer
from creatify_textgen.emulator.requests.calls import without_call_fields
from creatify_textgen.emulator.requests.validation import check_request

from .calls import Call
from .errors import invalid_answer
from .processing import Processing
from .rendering import render_generation
from .state import RemoteGeneration, State
from .streams import ERROR_FAULTS, ping_event, render_stream

__all__ = ["Creation"]

# The older endpoint has none of these fields, and serializers ignore what they do not know.
NOT_IN_LEGACY = ("tools", "tool_config", "sync")
THINKING_TOKENS = 12
STREAM_FAILURES = {
    "prompt_block": "The prompt was blocked: PROHIBITED_CONTENT.",
    "safety": "The answer was stopped: SAFETY.",
}


class Creation:
    """Creates generations on behalf of a caller."""

    def __init__(self, *, state: State, processing: Processing) -> None:
        self._state = state
        self._processing = processing

    async def create(self, call: Call) -> AnyAnswer:
        """Answer 201: pending, or the result if `sync` is true."""
        refusal = self._refusal(call)
        if refusal is not None:
            return refusal
        request = _accepted(call, without=NOT_IN_LEGACY if call.route.legacy else ())
        mode = "sync" if request.get("sync") else "async"
        settings = call.settings
        if mode == "sync" and settings.sync_answer in ("failed", "error"):
            settings = replace(settings, final_state="failed")
        generation = self._equal(call, request=request) or self._accept(
            call, request=request, mode=mode, settings=settings
        )
        if mode == "sync" and settings.sync_answer != "pending":
            return await self._answer_sync(call, generation=generation)
        return await self._answer_async(call, generation=generation)

    async def stream(self, call: Call) -> AnyAnswer:
        """Answer with the events of a stream; its generation ends when the stream does."""
        refusal = self._refusal(call)
        if refusal is not None:
            return refusal
        settings = _stream_settings(call.settings)
        # The guide says that streams take neither, and the reference lists both (contract,
        # section 3): so they are accepted and have no effect.
        request = _accepted(call, without=("sync", "webhook_url"))
        generation = self._accept(call, request=request, mode="stream", settings=settings)
        generation.status = "running"
        # Nobody reads this stream, so nothing else would end its generation.
        lost = answer_lost(call)
        if lost is not None:
            self._processing.finish(generation)
            return lost
        rendered = render_stream(generation)
        pings = settings.stream_ping_seconds
        return Stream(
            rendered.events,
            interval=rendered.interval,
            ending=rendered.ending,
            on_end=partial(self._end_stream, generation),
            ping=partial(ping_event, settings, now=self._state.now) if pings else None,
            ping_seconds=pings,
        )

    def _equal(self, call: Call, *, request: Mapping[str, Any]) -> RemoteGeneration | None:
        """Return the earlier generation that answers this create as well, if any may."""
        if call.settings.equal_creates == "each":
            return None
        # As a gateway that repeats an answer: no second generation, no second charge.
        earlier = self._state.find_equal(request, workspace=call.workspace)
        call.accepted = earlier is not None
        return earlier

    def _accept(
        self, call: Call, *, request: Mapping[str, Any], mode: str, settings: Settings
    ) -> RemoteGeneration:
        call.accepted = True
        return self._processing.accept(
            request,
            workspace=call.workspace,
            mode=mode,
            settings=settings,
            forced_failure=_forced_failure(request, settings=settings, mode=mode),
        )

    async def _answer_async(self, call: Call, *, generation: RemoteGeneration) -> AnyAnswer:
        # Rendered at once: the answer says what was true when the create was accepted.
        answer = json_answer(_rendered(call, generation=generation), status=201)
        # A webhook may arrive before the answer to its create (contract, section 5).
        if generation.settings.webhook == "early":
            await self._processing.finish_early(generation)
        else:
            self._processing.start(generation)
        return answer_lost(call) or answer

    async def _answer_sync(self, call: Call, *, generation: RemoteGeneration) -> AnyAnswer:
        # Started first: a lost answer does not stop the work, nor the charge.
        self._processing.start(generation)
        lost = answer_lost(call)
        if lost is not None:
            return lost
        await self._processing.wait(generation)
        if call.settings.sync_answer == "error":
            return call.refusal(500)
        return json_answer(_rendered(call, generation=generation), status=201)

    def _end_stream(self, generation: RemoteGeneration, *, everything: bool) -> None:
        if generation.settings.stuck:
            return
        # Whether a disconnect stops the charge is unknown (contract, section 6.6).
        if everything or generation.settings.stream_disconnect == "charged":
            self._processing.finish(generation)
        else:
            reason = "The reader disconnected."
            self._processing.finish(generation, status="failed", failed_reason=reason)

    def _refusal(self, call: Call) -> AnyAnswer | None:
        settings = call.settings
        if settings.reset_before_accept:
            return Reset()
        if settings.error_at_create != "none":
            return call.refusal(int(settings.error_at_create))
        # Only this type is declared for requests (contract, section 2.1).
        content_type = call.request.head.headers.get("content-type", "")
        if content_type.partition(";")[0].strip().lower() != "application/json":
            return call.refusal(415)
        if call.body_error:
            return call.refusal(400, text=f"Invalid request body: {call.body_error}")
        # The order of the documentation: "validates the request", then "checks credits".
        return self._invalid(call) or self._unpaid(call)

    def _invalid(self, call: Call) -> AnyAnswer | None:
        problems = check_request(
            call.body,
            settings=call.settings,
            legacy=call.route.legacy,
            streaming=call.kind == "stream",
        )
        if call.settings.config_range != "refuse":
            problems = [problem for problem in problems if problem.kind != "range"]
        if not problems:
            return None
        return invalid_answer(problems, settings=call.settings, legacy=call.route.legacy)

    def _unpaid(self, call: Call) -> AnyAnswer | None:
        balance = self._state.balance(call.workspace, start=call.settings.balance)
        if call.settings.credits == "insufficient_at_create" or balance <= 0:
            return call.refusal(402)
        return None


def answer_lost(call: Call) -> AnyAnswer | None:
    """Return what replaces the answer to an accepted create, or None."""
    if call.settings.reset_after_accept:
        return Reset()
    status = call.settings.error_after_accept
    return None if status == "none" else call.refusal(int(status))


def _accepted(call: Call, *, without: tuple[str, ...]) -> Mapping[str, Any]:
    """Return what is kept of a request."""
    request = {name: value for name, value in call.body.items() if name not in without}
    if call.settings.drop_call_fields:
        request["messages"] = without_call_fields(request["messages"])
    return request


def _rendered(call: Call, *, generation: RemoteGeneration) -> dict[str, Any]:
    return render_generation(generation, settings=call.settings, legacy=call.route.legacy)


def _stream_settings(settings: Settings) -> Settings:
    """Return the settings, changed as the content of the stream requires."""
    if settings.stream_content == "function_call":
        return replace(settings, final_state="function_calls")
    if settings.stream_content == "thoughts" and not settings.thinking_tokens:
        return replace(settings, thinking_tokens=THINKING_TOKENS)
    # A stream has no status to end with: its failure must be an event within the stream.
    failing = settings.final_state == "failed" or settings.credits == "insufficient_at_processing"
    if failing and settings.stream_fault == "none":
        return replace(settings, stream_fault="error_event")
    return settings


def _forced_failure(request: Mapping[str, Any], *, settings: Settings, mode: str) -> str:
    if mode == "stream":
        if settings.stream_fault in ERROR_FAULTS:
            return settings.failed_reason
        return STREAM_FAILURES.get(settings.stream_content, "")
    if settings.config_range == "fail":
        problems = check_request(request, settings=settings)
        return "; ".join(f"{each.path}: {each.text}" for each in problems if each.kind == "range")
    return ""
