"""The only writer of status: one function per move, each a conditional UPDATE.

Row, content, timeline and rollup are written in one short transaction; signals follow its
commit. No network here, ever.
"""

from creatify_textgen.lifecycle.announcing import announce_overdue
from creatify_textgen.lifecycle.claims import (
    claim_due,
    claim_one,
    drop_hint,
    keep_remote_id,
    make_due,
    note_delivery,
    postpone,
    save_checkpoints,
)
from creatify_textgen.lifecycle.corrections import complete_failed, complete_found, correct_credits
from creatify_textgen.lifecycle.marks import (
    Arrival,
    mark_arrived,
    mark_cancelled,
    mark_done,
    mark_expired,
    mark_failed,
    mark_pending,
    mark_queued,
    mark_running,
    mark_submitting,
    mark_unconfirmed,
)
from creatify_textgen.lifecycle.outcome import NOTHING_NEW, Outcome
from creatify_textgen.lifecycle.transactions import REFUSALS, is_refusal

__all__ = [
    "NOTHING_NEW",
    "REFUSALS",
    "Arrival",
    "Outcome",
    "announce_overdue",
    "claim_due",
    "claim_one",
    "complete_failed",
    "complete_found",
    "correct_credits",
    "drop_hint",
    "is_refusal",
    "keep_remote_id",
    "make_due",
    "mark_arrived",
    "mark_cancelled",
    "mark_done",
    "mark_expired",
    "mark_failed",
    "mark_pending",
    "mark_queued",
    "mark_running",
    "mark_submitting",
    "mark_unconfirmed",
    "note_delivery",
    "postpone",
    "save_checkpoints",
]
