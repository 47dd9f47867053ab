"""The verbs: what this app can do. Hosts and doors call these and nothing below them.

Everything after the first argument is keyword-only. No HttpRequest, no DRF, no Celery.
"""

from creatify_textgen.services.asynchronous import (
    acancel,
    acredits,
    agenerate,
    arefresh,
    aretry,
    asubmit,
    asubmit_many,
)
from creatify_textgen.services.blocking import generate
from creatify_textgen.services.credits import (
    CreditReport,
    credits,  # noqa: A004  the public name is fixed
    remaining_credits,
)
from creatify_textgen.services.media import open_media, store_media
from creatify_textgen.services.operations import cancel, refresh
from creatify_textgen.services.reconciliation import ReconcileReport, reconcile
from creatify_textgen.services.streaming import (
    AsyncGenerationStream,
    GenerationStream,
    aattach,
    astream,
    attach,
    begin_stream,
    pump_stream,
    stream,
)
from creatify_textgen.services.submission import retry, send_generation, submit, submit_many
from creatify_textgen.services.sweeping import SweepReport, sweep
from creatify_textgen.services.webhooks import receive_delivery

__all__ = [
    "AsyncGenerationStream",
    "CreditReport",
    "ReconcileReport",
    "GenerationStream",
    "SweepReport",
    "aattach",
    "acancel",
    "acredits",
    "agenerate",
    "arefresh",
    "aretry",
    "astream",
    "asubmit",
    "asubmit_many",
    "attach",
    "begin_stream",
    "cancel",
    "credits",
    "generate",
    "open_media",
    "pump_stream",
    "receive_delivery",
    "reconcile",
    "refresh",
    "remaining_credits",
    "retry",
    "send_generation",
    "store_media",
    "stream",
    "submit",
    "submit_many",
    "sweep",
]
