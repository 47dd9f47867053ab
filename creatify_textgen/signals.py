"""What hosts may listen to. Known to all rooms and knows none.

A receiver that raises is logged and loses nothing for the others.
"""

from __future__ import annotations

from django.dispatch import Signal

__all__ = ["generation_finished", "generation_status_changed", "webhook_rejected"]

generation_status_changed = Signal()
"""A generation moved. Sent after commit with `generation=`, for every move that was won."""

generation_finished = Signal()
"""A generation reached a final status. Sent once per generation, after commit, with
`generation=`; where a process dies right after the commit, the next sweep sends it."""

webhook_rejected = Signal()
"""A delivery was refused. Sent with `generation=` (None where the URL names none of ours),
`reason=`; never with the token or the body."""
