"""Where a process is killed, in which journey, and what must come of it.

Names read as what has just happened. `True` says that the remote accepts the request although its
sender is dead.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.faults.kills.points import KillPoint

__all__ = ["CASES", "CORRECTIONS", "Case"]

LIFECYCLE = "creatify_textgen.lifecycle"
MOVES = f"{LIFECYCLE}.moves"
CLAIMS = f"{LIFECYCLE}.claims"
ROLLUP = f"{LIFECYCLE}.rollup"
ANNOUNCING = f"{LIFECYCLE}.announcing"
SERVICES = "creatify_textgen.services"
RECOVERY = "creatify_textgen.recovery"
PUBLISH = "creatify_textgen.streams.hub.memory:MemoryHub.publish"
PUMP = "creatify_textgen.streams.pump"
CLIENT = "creatify_textgen.remote.client:RemoteClient"
SOCKET = "urllib3.connection:HTTPConnection"


class Case(NamedTuple):
    journey: str
    point: KillPoint
    accepted: bool = False
    """Whether the remote accepts the request although its sender is dead."""
    status: str = "done"
    signals: int = 1
    sweeps: int = 2
    """At most so many until the row is at rest."""
    settings: dict[str, Any] = {}
    switches: dict[str, Any] = {}


def before(target: str, **options: Any) -> KillPoint:
    return KillPoint(target=target, when="before", **options)


def after(target: str, **options: Any) -> KillPoint:
    return KillPoint(target=target, when="after", **options)


BEFORE_SIGNAL = before(f"{ANNOUNCING}:_claim_announcement", only="argument")
TAKEN_ON = after(f"{ANNOUNCING}:_claim_announcement", only="result")
CONNECTED = after(f"{SOCKET}.connect")
HEADERS_SENT = after(f"{SOCKET}.send")
SENT = before(f"{SOCKET}.getresponse")
ANSWERED = after(f"{CLIENT}.create")
ROLLUP_LOCKED = after(f"{ROLLUP}:_lock_or_create")
ROLLUP_WRITTEN = after(f"{MOVES}:add_to_rollup")

UNCERTAIN: dict[str, Any] = {
    "status": "expired",
    "signals": 0,
    "settings": {"EXPIRE_AFTER": 900},
}
"""A lease without an answer, and nothing testifies to the list that lacks it: never sent again."""
SUBMIT = {
    "intent committed": Case("work_through", after(f"{SERVICES}.submission:save_intent")),
    "before enqueue": Case("work_through", before("creatify_textgen.enqueue:_publish")),
    "enqueued": Case("work_through", after("creatify_textgen.enqueue:_publish")),
    "before the lease": Case("work_through", before(f"{LIFECYCLE}:mark_submitting")),
    "taking the lease": Case("work_through", after(f"{MOVES}:_write_timeline")),
    "before send": Case("work_through", before(f"{CLIENT}.create"), **UNCERTAIN),
    "connected": Case("work_through", CONNECTED, **UNCERTAIN),
    "headers sent": Case("work_through", HEADERS_SENT, **UNCERTAIN),
    "sent": Case("work_through", SENT, accepted=True),
    "answered": Case("work_through", ANSWERED, accepted=True),
    "saving the answer": Case(
        "work_through", after(f"{MOVES}:_write_timeline", nth=2), accepted=True
    ),
    "answer saved": Case("work_through", after(f"{SERVICES}.submission:settle_send"), True),
}
POLL = {
    "claiming": Case("work_through", after(f"{CLAIMS}:_claim", only="result"), True),
    "claimed": Case("work_through", after(f"{LIFECYCLE}:claim_due", only="result"), True),
    "before the poll": Case("work_through", before(f"{CLIENT}.get"), True),
    "poll sent": Case("work_through", before(f"{SOCKET}.getresponse", nth=2), True),
    "poll answered": Case("work_through", after(f"{CLIENT}.get"), True),
    "saving the result": Case("work_through", after(f"{MOVES}:_write_contents", nth=3), True),
    "writing the rollup": Case("work_through", ROLLUP_LOCKED, True),
    "rollup written": Case("work_through", ROLLUP_WRITTEN, True),
    "committed, not signalled": Case("work_through", BEFORE_SIGNAL, True),
    # The one moment in which a signal can be lost: nobody could know whether it was received.
    "about to signal": Case("work_through", TAKEN_ON, True, signals=0),
}
SWEEP = {
    "claiming": Case("lose_the_message", after(f"{CLAIMS}:_claim", only="result")),
    "claimed": Case("lose_the_message", after(f"{LIFECYCLE}:claim_due", only="result")),
    "before send": Case("lose_the_message", before(f"{CLIENT}.create"), **UNCERTAIN),
    "sent": Case("lose_the_message", SENT, True),
    "answered": Case("lose_the_message", ANSWERED, True),
    "saving the answer": Case("lose_the_message", after(f"{MOVES}:_write_timeline", nth=2), True),
}
LOST_AFTER = {"switches": {"reset_after_accept": True}}
LOST_BEFORE: dict[str, Any] = {"switches": {"reset_before_accept": True}}
ADOPTION = {
    "list read": Case(
        "lose_the_answer", after(f"{RECOVERY}.polling:read_list"), True, **LOST_AFTER
    ),
    "adopting": Case(
        "lose_the_answer", after(f"{MOVES}:_write_timeline", nth=3), True, **LOST_AFTER
    ),
    "adopted, not signalled": Case("lose_the_answer", BEFORE_SIGNAL, True, **LOST_AFTER),
}
# It is claimed, proved absent, sent, and polled.
PROVED: dict[str, Any] = {**LOST_BEFORE, "sweeps": 4}
ABSENCE = {
    "first list read": Case("prove_absence", after(f"{RECOVERY}.polling:read_list"), **PROVED),
    "first absence noted": Case("prove_absence", after(f"{LIFECYCLE}:note_absence"), **PROVED),
    "second list read": Case(
        "prove_absence", after(f"{RECOVERY}.polling:read_list", nth=2), **PROVED
    ),
    "absence proved": Case("prove_absence", before(f"{LIFECYCLE}:mark_absent"), **PROVED),
    "queued again": Case("prove_absence", after(f"{LIFECYCLE}:mark_absent"), **PROVED),
    # There is no third send: it expires, and then two lists prove that this one created nothing.
    "sent again": Case(
        "prove_absence",
        before(f"{CLIENT}.create", nth=3),
        **{**LOST_BEFORE, **UNCERTAIN, "status": "failed", "signals": 1},
    ),
}
BELIEVED = {"settings": {"CONFIRM_WEBHOOKS": False}}
WEBHOOK = {
    "before it is noted": Case("take_delivery", before(f"{LIFECYCLE}:note_delivery"), True),
    "noted": Case("take_delivery", after(f"{LIFECYCLE}:note_delivery"), True),
    "confirmed, writing the rollup": Case("take_delivery", ROLLUP_LOCKED, True),
    "believed, before it is applied": Case(
        "take_delivery", before(f"{RECOVERY}.deliveries:apply_snapshot"), True, **BELIEVED
    ),
    "believed, while it is applied": Case(
        "take_delivery", after(f"{MOVES}:_write_contents", nth=3), True, **BELIEVED
    ),
    "believed, writing the rollup": Case("take_delivery", ROLLUP_LOCKED, True, **BELIEVED),
    "believed, not signalled": Case("take_delivery", BEFORE_SIGNAL, True, **BELIEVED),
}
SYNC = {
    "intent committed": Case("wait_for_it", after(f"{SERVICES}.blocking:save_intent")),
    "before send": Case("wait_for_it", before(f"{CLIENT}.create"), **UNCERTAIN),
    "headers sent": Case("wait_for_it", HEADERS_SENT, **UNCERTAIN),
    "sent": Case("wait_for_it", SENT, True),
    "answered": Case("wait_for_it", ANSWERED, True),
    "writing the rollup": Case("wait_for_it", ROLLUP_LOCKED, True),
    "committed, not signalled": Case("wait_for_it", BEFORE_SIGNAL, True),
}
CALLED_OFF = {"status": "cancelled"}
NEVER_ACCEPTED = {"status": "failed"}
STREAM = {
    "intent committed, no pump": Case(
        "listen", before("creatify_textgen.enqueue:_run_in_thread"), **CALLED_OFF
    ),
    "before the lease": Case("listen", before(f"{LIFECYCLE}:mark_submitting"), **CALLED_OFF),
    "before send": Case("listen", before(f"{CLIENT}.stream"), **NEVER_ACCEPTED),
    "headers sent": Case("listen", HEADERS_SENT, **NEVER_ACCEPTED),
    "sent": Case("listen", SENT, True),
    "first chunk, not saved": Case("listen", before(f"{LIFECYCLE}:mark_running"), True),
    "mid stream": Case("listen", before(PUBLISH, nth=8), True),
    "saving a checkpoint": Case("listen", before(f"{CLAIMS}:columns"), True),
    "checkpoint saved": Case("listen", after(f"{LIFECYCLE}:save_checkpoints"), True),
    "last chunk, not saved": Case("listen", before(f"{PUMP}:judge"), True),
    "writing the rollup": Case("listen", ROLLUP_LOCKED, True),
    "committed, not signalled": Case("listen", BEFORE_SIGNAL, True),
    "saved, readers not informed": Case("listen", after(f"{PUMP}:_Pump._write_end"), True),
}
COMPARE = f"{RECOVERY}.reconciliation"
RECONCILIATION = {
    "list read": Case("reconcile_it", before(f"{COMPARE}:apply_snapshots"), True),
    "finishing": Case("reconcile_it", after(f"{MOVES}:_write_contents", nth=3), True),
    "writing the rollup": Case("reconcile_it", ROLLUP_LOCKED, True),
    "committed, not signalled": Case("reconcile_it", BEFORE_SIGNAL, True),
    "before an adoption": Case("reconcile_it", before(f"{COMPARE}:adopt_from"), True, **LOST_AFTER),
    "adopting": Case("reconcile_it", after(f"{MOVES}:_write_timeline", nth=3), True, **LOST_AFTER),
    "adopted, not signalled": Case("reconcile_it", BEFORE_SIGNAL, True, **LOST_AFTER),
}
CORRECTING = f"{LIFECYCLE}.corrections:correct_rollup"
CORRECTIONS = {
    "before the correction": before(f"{LIFECYCLE}:correct_credits"),
    "row written, rollup not": before(CORRECTING),
    "both written, not committed": after(CORRECTING),
    "corrected": after(f"{LIFECYCLE}:correct_credits"),
}
"""In a reconciliation that corrects the credits of a row that is done."""
GROUPS = {
    "submit": SUBMIT,
    "poll": POLL,
    "sweep": SWEEP,
    "adoption": ADOPTION,
    "absence": ABSENCE,
    "webhook": WEBHOOK,
    "sync": SYNC,
    "stream": STREAM,
    "reconciliation": RECONCILIATION,
}
CASES = {
    f"{group}: {name}": case for group, cases in GROUPS.items() for name, case in cases.items()
}
