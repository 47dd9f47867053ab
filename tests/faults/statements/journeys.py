"""What is done while the database breaks, what comes before it, and how its rows may end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from django.contrib.auth.models import User

from creatify_textgen import chat, services
from creatify_textgen.chat import Run
from creatify_textgen.dispatch.callbacks import make_token
from creatify_textgen.models import Budget, Generation
from creatify_textgen.services.blocking import begin_blocking, finish_blocking
from creatify_textgen.services.submission import accept_request
from tests.factories import NOW
from tests.faults.statements.double import CountingDouble

__all__ = ["A_WHILE", "JOURNEYS", "Journey", "World"]

PROMPT = "Say hello."
A_WHILE = timedelta(minutes=11)


class World:
    """One remote, one clock, and what the functions and the signals did."""

    here: World

    def __init__(self) -> None:
        self.remote = CountingDouble()
        self.clock: datetime = NOW
        self.finished: Counter[Any] = Counter()
        self.booked = 0
        self.owner = User.objects.create_user("owner")
        for unit in Budget.Unit.values:
            Budget.objects.create(
                name=unit, unit=unit, limit=1000, period="total", is_hard=True, owner=self.owner
            )

    def let_pass(self, span: timedelta) -> None:
        self.clock += span


def book_seat(row: int) -> str:
    """Book a seat, which nobody wants twice."""
    World.here.booked += 1
    return f"Booked in row {row}"


class Journey(NamedTuple):
    act: Callable[[Any], object]
    """Takes what `prepare` returned."""
    prepare: Callable[[], Any] = lambda: None
    fault: str = "none"
    """Of the remote, at the first POST of the act."""
    ends: tuple[str, ...] = ("done",)
    """How its rows may end although the database works again."""
    posts: int = 1
    """At most so many of each request; at most one of them is accepted."""
    settings: dict[str, Any] = {}


def save(_: Any = None, *, prompt: str = PROMPT) -> Generation:
    return services.submit(prompt, owner=World.here.owner)


def send(generation: Generation) -> None:
    services.send_generation(generation.pk)


def save_three(_: Any = None) -> None:
    requests = [{"messages": f"{PROMPT} {number}"} for number in range(3)]
    services.submit_many(requests, owner=World.here.owner)


def save_blocking() -> Generation:
    return begin_blocking(accept_request(PROMPT, owner=World.here.owner))[0]


def save_stream() -> Generation:
    return services.begin_stream(PROMPT, owner=World.here.owner)


def pump(generation: Generation) -> None:
    services.pump_stream(generation.pk)


def save_run(*, stream: bool = False) -> Run:
    return chat.submit_run("Book a seat.", tools=[book_seat], owner=World.here.owner, stream=stream)


def go_on(run: Run) -> None:
    chat.go_on(run.pk)


def sent(fault: str = "none") -> Generation:
    World.here.remote.faults.append(fault)
    generation = save()
    send(generation)
    return generation


def finished() -> Generation:
    generation = sent()
    for remote_id in World.here.remote.generations:
        World.here.remote.advance(remote_id, "done")
    generation.refresh_from_db()
    return generation


def deliver(generation: Generation) -> None:
    remote = World.here.remote.generations[str(generation.remote_id)]
    reported = {"id": remote.id, "status": "done", "response_text": remote.response_text}
    body = json.dumps({**reported, "credits_used": 0.0005}).encode()
    services.receive_delivery(generation.pk, token=make_token(generation.pk), body=body)


def lost_between_witnesses() -> None:
    """Send what the remote loses, between two rows that show how its list works."""
    for prompt, fault, span in (
        ("Say hello to the shore.", "none", timedelta(hours=2)),
        (PROMPT, "lost_before", timedelta(minutes=10)),
        ("Say hello to the sand.", "none", timedelta(seconds=5)),
    ):
        World.here.remote.faults.append(fault)
        send(save(prompt=prompt))
        World.here.let_pass(span)


def sweep(_: Any = None, *, times: int = 1) -> None:
    for _turn in range(times):
        World.here.let_pass(A_WHILE)
        services.sweep()


JOURNEYS = {
    "save": Journey(save),
    "save three": Journey(save_three),
    "send": Journey(send, save),
    "send, refused for now": Journey(send, save, "refused_503", posts=2),
    "send, refused": Journey(send, save, "refused_400", ends=("failed",)),
    "send, answer lost": Journey(send, save, "lost_after"),
    "send three": Journey(lambda _: services.sweep(), save_three),
    "generate": Journey(finish_blocking, save_blocking),
    "generate, refused for now": Journey(finish_blocking, save_blocking, "refused_503", posts=2),
    "generate, answer lost": Journey(finish_blocking, save_blocking, "lost_after"),
    "stream": Journey(pump, save_stream),
    "stream, refused": Journey(pump, save_stream, "refused_400", ends=("failed",)),
    "stream, answer lost": Journey(pump, save_stream, "lost_after"),
    "stream, cut": Journey(pump, save_stream, "cut"),
    "run": Journey(go_on, save_run),
    # No process claims it in time, if the one that should do so fails.
    "streamed run": Journey(go_on, partial(save_run, stream=True), ends=("done", "cancelled")),
    "webhook": Journey(deliver, finished),
    "webhook, believed": Journey(deliver, finished, settings={"CONFIRM_WEBHOOKS": False}),
    "poll": Journey(sweep, finished),
    "adoption": Journey(sweep, partial(sent, "lost_after")),
    "absence": Journey(partial(sweep, times=3), lost_between_witnesses, posts=2),
}
