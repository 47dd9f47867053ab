"""The signals that a host may connect to.

Every room may import this module; it imports no room. If a receiver raises, the error is logged and
the other receivers are still called. `owner_erased` is the exception: its error stops the erasure.
"""

from __future__ import annotations

from django.dispatch import Signal

__all__ = [
    "approval_needed",
    "budget_reached",
    "generation_finished",
    "generation_status_changed",
    "owner_erased",
    "run_finished",
    "sending_paused",
    "webhook_rejected",
]

# Connect only if you need each change: while a receiver is connected, every change reads the whole
# row. Without one, only rows that have ended are read.
generation_status_changed = Signal()
"""The status of a generation changed. Sent after commit, once per change, with `generation=`."""

generation_finished = Signal()
"""A generation reached a final status. Sent after commit, at most once per generation, with
`generation=`. If the process dies before it has sent the signal, a sweep sends it within about a
minute. If it dies while the receivers run, the signal is not repeated."""

webhook_rejected = Signal()
"""A delivery was refused. Sent with `reason=` (a code) and `generation=None`, without its token and
its body."""

sending_paused = Signal()
"""Sending of an account was paused. Sent after commit with `generation=` (the generation that the
remote refused because of missing credits, or None), `account=` ("" for all), `code=`, `reason=`."""

budget_reached = Signal()
"""A budget has no room left. Sent once per period, after commit, with `budget=`, `period=` (its
`BudgetPeriod`) and `generation=None`."""

owner_erased = Signal()
"""The content of a user is being erased, for instance because the user is deleted. Sent before the
rows change, with `owner_id=` and `generation=None`: delete your copies. May be sent again. If a
receiver raises, the erasure stops before a generation changes."""

run_finished = Signal()
"""A run of `chat` has ended: done, failed or stopped. Sent with `run=`, at most once per run."""

approval_needed = Signal()
"""A run of `chat` waits until its calls are approved or rejected. Sent with `run=`."""
