"""Creates generations and moves them: pending, running, done or failed. Charges what they cost.

Runs on the event loop. A final status never changes, and credits are charged once.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any

from creatify_textgen.emulator.faults.clock import remote_time
from creatify_textgen.emulator.faults.switches import Settings
from creatify_textgen.emulator.model.answers import compose, credits_for

from .rendering import echo_of
from .state import RemoteGeneration, State
from .webhooks import Deliveries

__all__ = ["Processing"]

NO_CREDITS = "Insufficient credits to process this generation."


class Processing:
    """Creates generations and moves them on."""

    def __init__(self, *, state: State, deliveries: Deliveries) -> None:
        self._state = state
        self._deliveries = deliveries
        self._timers: dict[RemoteGeneration, asyncio.TimerHandle] = {}
        self._storing: dict[RemoteGeneration, asyncio.TimerHandle] = {}

    def accept(
        self,
        request: Mapping[str, Any],
        *,
        workspace: str,
        mode: str,
        settings: Settings,
        forced_failure: str = "",
    ) -> RemoteGeneration:
        """Create a generation. From here on it exists and costs credits."""
        # Composed at once: later changes of switches do not change a generation, and the answer to
        # the same request is always the same.
        answer = compose(request, settings=settings)
        generation = RemoteGeneration(
            id=str(uuid.uuid4()),
            workspace=workspace,
            mode=mode,
            request=request,
            settings=settings,
            answer=answer,
            echo=echo_of(request, settings=settings),
            created_at=remote_time(self._state.now(), settings=settings),
            forced_failure=forced_failure,
        )
        self._state.add(generation)
        self._state.count("creates")
        if settings.charge_at == "accept":
            self._state.charge(generation, cost=credits_for(answer.usage))
        if settings.store_delay:
            self._storing[generation] = asyncio.get_running_loop().call_later(
                settings.store_delay, self._store_late, generation
            )
        else:
            generation.stored_at = self._state.now()
        return generation

    def start(self, generation: RemoteGeneration) -> None:
        """Start the timers of a generation once it is stored; a stuck one waits for `finish`.

        May be called twice.
        """
        if not generation.is_started:
            generation.is_started = True
            if generation.stored_at is not None:
                self._begin(generation)

    def finish(
        self, generation: RemoteGeneration, *, status: str = "", failed_reason: str = ""
    ) -> bool:
        """End a generation as its switches or the arguments say; return False if it had ended."""
        # A reset forgets generations while their timers or streams still run: they end silently.
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
        generation.ended_at = self._state.now()
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
        # No timeout: `stop` wakes the waiters, and a client that leaves cancels this coroutine.
        if not generation.is_final:
            ended = asyncio.Event()
            generation.watchers.append(ended.set)
            await ended.wait()

    def stop(self) -> None:
        """Stop everything under way; sync calls are answered with the current status."""
        for timers in (self._timers, self._storing):
            for timer in timers.values():
                timer.cancel()
            timers.clear()
        self._deliveries.cancel()
        for generation in self._state.generations:
            for notify in generation.watchers:
                notify()

    def _store_late(self, generation: RemoteGeneration) -> None:
        """Let GET and the list know a generation; it is dated as of now."""
        # `created_at` changes with it: a queue dates what it takes in (contract, section 11, 26b).
        del self._storing[generation]
        if not self._state.holds(generation):
            return
        generation.stored_at = self._state.now()
        generation.created_at = remote_time(generation.stored_at, settings=generation.settings)
        if generation.is_started:
            self._begin(generation)

    def _begin(self, generation: RemoteGeneration) -> None:
        if generation.is_final:
            return
        self._deliveries.announce(generation)
        if not generation.settings.stuck:
            self._later(generation, seconds=generation.settings.pending_seconds, move=self._run)

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
        # The status comes last: a GET in another thread that finds it done finds the rest as well.
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
    """Return why a generation will fail, or an empty string."""
    if generation.forced_failure:
        return generation.forced_failure
    if generation.settings.credits == "insufficient_at_processing":
        return NO_CREDITS
    return generation.settings.failed_reason if generation.settings.final_state == "failed" else ""
