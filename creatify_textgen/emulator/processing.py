"""How generations come about and move on: pending, running, done or failed, and what they cost.

Runs on the event loop. A final status never changes, and credits are taken once.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any

from .answers import compose, credits_for
from .rendering import echo_of
from .state import RemoteGeneration, State
from .switches import Settings
from .webhooks import Deliveries

__all__ = ["Processing"]

NO_CREDITS = "Insufficient credits to process this generation."


class Processing:
    """Creates generations and moves them."""

    def __init__(self, *, state: State, deliveries: Deliveries) -> None:
        self._state = state
        self._deliveries = deliveries
        self._timers: dict[RemoteGeneration, asyncio.TimerHandle] = {}

    def accept(
        self,
        request: Mapping[str, Any],
        *,
        workspace: str,
        mode: str,
        settings: Settings,
        forced_failure: str = "",
    ) -> RemoteGeneration:
        """Create a generation: from here on it exists and will cost."""
        answer = compose(request, settings=settings)
        generation = RemoteGeneration(
            id=str(uuid.uuid4()),
            workspace=workspace,
            mode=mode,
            request=request,
            settings=settings,
            answer=answer,
            echo=echo_of(request, settings=settings),
            created_at=self._state.now(),
            forced_failure=forced_failure,
        )
        self._state.add(generation)
        self._state.count("creates")
        if settings.charge_at == "accept":
            self._state.charge(generation, cost=credits_for(answer.usage))
        return generation

    def start(self, generation: RemoteGeneration) -> None:
        """Let time take its course; a stuck generation waits for `finish`."""
        self._deliveries.announce(generation)
        if not generation.settings.stuck:
            self._later(generation, seconds=generation.settings.pending_seconds, move=self._run)

    def finish(
        self, generation: RemoteGeneration, *, status: str = "", failed_reason: str = ""
    ) -> bool:
        """End a generation as its switches or the arguments say; False where it had ended."""
        if generation.is_final or not self._state.holds(generation):
            return False
        timer = self._timers.pop(generation, None)
        if timer is not None:
            timer.cancel()
        reason = failed_reason or _failure_of(generation)
        if status == "failed" or (reason and status != "done"):
            self._fail(generation, reason=reason or generation.settings.failed_reason)
        else:
            self._succeed(generation)
        for notify in generation.watchers:
            notify()
        self._deliveries.announce(generation)
        return True

    async def finish_early(self, generation: RemoteGeneration) -> None:
        """End a generation and deliver it; returns when the delivery was answered."""
        self.finish(generation)
        await self._deliveries.deliver_early(generation)

    async def wait(self, generation: RemoteGeneration) -> None:
        """Return when the generation has ended."""
        if not generation.is_final:
            ended = asyncio.Event()
            generation.watchers.append(ended.set)
            await ended.wait()

    def stop(self) -> None:
        """Let go of everything under way; who waits for an end is answered as things stand."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._deliveries.cancel()
        for generation in self._state.generations:
            for notify in generation.watchers:
                notify()

    def _later(self, generation: RemoteGeneration, *, seconds: float, move: Any) -> None:
        loop = asyncio.get_running_loop()
        self._timers[generation] = loop.call_later(seconds, move, generation)

    def _run(self, generation: RemoteGeneration) -> None:
        generation.status = "running"
        self._deliveries.announce(generation)
        self._later(generation, seconds=generation.settings.running_seconds, move=self.finish)

    def _succeed(self, generation: RemoteGeneration) -> None:
        generation.response_text = generation.answer.text
        generation.response_function_calls = generation.answer.function_calls
        self._charge(generation)
        generation.status = "done"

    def _fail(self, generation: RemoteGeneration, *, reason: str) -> None:
        generation.failed_reason = reason
        if generation.settings.failed_charged:
            self._charge(generation)
        generation.status = "failed"

    def _charge(self, generation: RemoteGeneration) -> None:
        if generation.settings.charge_at == "finish":
            self._state.charge(generation, cost=credits_for(generation.answer.usage))


def _failure_of(generation: RemoteGeneration) -> str:
    """Return why a generation will fail, or nothing."""
    if generation.forced_failure:
        return generation.forced_failure
    if generation.settings.credits == "insufficient_at_processing":
        return NO_CREDITS
    return generation.settings.failed_reason if generation.settings.final_state == "failed" else ""
