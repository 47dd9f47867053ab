"""The only writer of status: one function per move, each a conditional UPDATE.

Row, content, timeline and rollup are written in one short transaction; signals follow its
commit. No network here, ever.
"""

from creatify_textgen.lifecycle.announcing import announce_overdue
from creatify_textgen.lifecycle.claims import (
    claim_due,
    claim_one,
    delete_final,
    drop_unverified_id,
    hold_queued,
    keep_remote_id,
    make_due,
    note_absence,
    note_acceptance,
    note_delivery,
    note_stop,
    reschedule,
    save_checkpoints,
)
from creatify_textgen.lifecycle.contents import (
    ENDED,
    OWNER_ERASED,
    awaiting,
    discard_media,
    note_reads,
    remove_contents,
    stop_keeping,
)
from creatify_textgen.lifecycle.corrections import (
    complete_empty,
    complete_failed,
    complete_found,
    correct_credits,
)
from creatify_textgen.lifecycle.holds import drop_holds
from creatify_textgen.lifecycle.imports import import_generation
from creatify_textgen.lifecycle.marks import (
    Arrival,
    mark_arrived,
    mark_cancelled,
    mark_done,
    mark_failed,
    mark_running,
    mark_unconfirmed,
)
from creatify_textgen.lifecycle.outcome import NOTHING_NEW, Outcome
from creatify_textgen.lifecycle.queue_marks import (
    mark_absent,
    mark_named,
    mark_queued,
    mark_queued_as_text,
    mark_submitting,
    mark_unnamed,
)
from creatify_textgen.lifecycle.transactions import REFUSALS, is_refusal, repeated

__all__ = [
    "ENDED",
    "OWNER_ERASED",
    "NOTHING_NEW",
    "REFUSALS",
    "Arrival",
    "Outcome",
    "announce_overdue",
    "awaiting",
    "claim_due",
    "claim_one",
    "delete_final",
    "complete_empty",
    "complete_failed",
    "complete_found",
    "correct_credits",
    "discard_media",
    "drop_holds",
    "drop_unverified_id",
    "hold_queued",
    "import_generation",
    "is_refusal",
    "keep_remote_id",
    "make_due",
    "mark_absent",
    "mark_arrived",
    "mark_cancelled",
    "mark_done",
    "mark_failed",
    "mark_named",
    "mark_queued",
    "mark_queued_as_text",
    "mark_running",
    "mark_submitting",
    "mark_unconfirmed",
    "mark_unnamed",
    "note_absence",
    "note_acceptance",
    "note_delivery",
    "note_reads",
    "remove_contents",
    "note_stop",
    "repeated",
    "reschedule",
    "save_checkpoints",
    "stop_keeping",
]
