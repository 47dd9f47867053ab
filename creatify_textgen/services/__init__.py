"""The verbs: everything that this app can do. Hosts and doors call these, and nothing below them.

Arguments after the first are keyword-only. Verbs know no HttpRequest, no DRF and no Celery task.
"""

from creatify_textgen.intake.media import open_media
from creatify_textgen.recovery.audit import BalanceAudit, latest_audit
from creatify_textgen.recovery.deliveries import receive_delivery
from creatify_textgen.recovery.reconciliation import reconcile
from creatify_textgen.recovery.report import ReconcileReport
from creatify_textgen.recovery.settlement import settle
from creatify_textgen.recovery.workload import OVERDUE_AFTER, UNKNOWN_DAYS, Workload
from creatify_textgen.retention import (
    EraseReport,
    ExportReport,
    PruneReport,
    erase,
    export,
    prune,
    record_reads,
)
from creatify_textgen.services.asynchronous import (
    acancel,
    acredits,
    adelete,
    aerase,
    aestimate,
    aexport,
    agenerate,
    aprune,
    arefresh,
    aretry,
    asettle,
    astop,
    asubmit,
    asubmit_many,
    await_,
)
from creatify_textgen.services.blocking import generate
from creatify_textgen.services.budgets import BudgetState, Estimate, budget_states, estimate
from creatify_textgen.services.catalog import ModelFacts, known_models, rerouted_models
from creatify_textgen.services.credits import (
    CreditReport,
    credits,  # noqa: A004  the public name is fixed
    remaining_credits,
)
from creatify_textgen.services.health import workload
from creatify_textgen.services.media import store_media
from creatify_textgen.services.operations import cancel, delete, delete_many, refresh, stop, wait
from creatify_textgen.services.pausing import pause_sending, resume_sending
from creatify_textgen.services.submission import retry, send_generation, submit, submit_many
from creatify_textgen.services.sweeping import SweepReport, sweep
from creatify_textgen.streams import (
    AsyncGenerationStream,
    GenerationStream,
    aattach,
    astream,
    attach,
    begin_stream,
    pump_stream,
    stream,
)

__all__ = [
    "AsyncGenerationStream",
    "BalanceAudit",
    "BudgetState",
    "CreditReport",
    "Estimate",
    "EraseReport",
    "ExportReport",
    "PruneReport",
    "ReconcileReport",
    "GenerationStream",
    "ModelFacts",
    "OVERDUE_AFTER",
    "SweepReport",
    "UNKNOWN_DAYS",
    "Workload",
    "aattach",
    "acancel",
    "acredits",
    "aestimate",
    "aerase",
    "adelete",
    "aexport",
    "agenerate",
    "aprune",
    "arefresh",
    "aretry",
    "asettle",
    "astop",
    "astream",
    "asubmit",
    "asubmit_many",
    "attach",
    "await_",
    "begin_stream",
    "budget_states",
    "cancel",
    "credits",
    "estimate",
    "erase",
    "delete",
    "delete_many",
    "export",
    "generate",
    "known_models",
    "latest_audit",
    "open_media",
    "pause_sending",
    "prune",
    "pump_stream",
    "receive_delivery",
    "reconcile",
    "record_reads",
    "refresh",
    "remaining_credits",
    "rerouted_models",
    "resume_sending",
    "retry",
    "send_generation",
    "settle",
    "store_media",
    "stop",
    "stream",
    "submit",
    "submit_many",
    "sweep",
    "workload",
    "wait",
]
