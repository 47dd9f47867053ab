"""Requests that have waited to be sent for longer than they should, and why. Reads only."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from django.db.models import Count, Min

from creatify_textgen import control
from creatify_textgen.dispatch import circuit
from creatify_textgen.models import Generation
from creatify_textgen.states import Status

__all__ = ["Queue", "waiting_queues"]


class Queue(NamedTuple):
    """Requests of one account that wait to be sent."""

    account: str
    length: int
    oldest_at: datetime
    reason: str
    """Why nothing is sent, in words."""


def waiting_queues(*, since: datetime, now: datetime) -> list[Queue]:
    """Return the requests that have waited since this time or longer.

    During an outage or a pause nothing is due, so the lag of sweeps does not show them.
    """
    # By its creation, because a row that waits gets a new `due_at` again and again.
    waiting = Generation.objects.filter(status=Status.QUEUED, created_at__lt=since)
    groups = waiting.order_by("account").values_list("account")
    return [
        Queue(account, length, oldest_at, _reason(account, now=now))
        for account, length, oldest_at in groups.annotate(Count("pk"), Min("created_at"))
    ]


def _reason(account: str, *, now: datetime) -> str:
    if pause := control.find_pause(account, now=now):
        return f"sending is paused ({pause.code})"
    # Also if the time is over: a test is due, and nothing has answered yet.
    if circuit.open_until(account) is not None:
        return "Creatify does not answer"
    return "Creatify refuses them for now, or no worker sends them"
