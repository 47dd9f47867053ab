"""What each process counts itself: ends, credits, times, readers.

With PROMETHEUS_MULTIPROC_DIR the processes of a machine share the counts. Invariant: a label has
few values, so a name of a model that is not in `MODELS` counts as `other`.
"""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from creatify_textgen.conf import conf
from creatify_textgen.models import Generation
from creatify_textgen.rest.streaming.limits import reader_slots
from creatify_textgen.signals import generation_finished, webhook_rejected
from creatify_textgen.states import Mode, Status

__all__ = ["REGISTRY", "listen"]

# Not prometheus_client's global registry: it is the host's, which may serve it elsewhere, and a
# second definition of the same name raises there.
REGISTRY = CollectorRegistry()
OTHER = "other"
# From a short answer to a long video. The default buckets of prometheus_client end at 10 seconds.
SECONDS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
FIRST_CHUNK_SECONDS = (0.1, 0.25, 0.5, 1, 1.5, 2, 3, 5, 10, 20, 30, 60)

ends = Counter(
    "creatify_textgen_ended",
    "Generations that reached a final status.",
    ["account", "model", "mode", "status", "code"],
    registry=REGISTRY,
)
credits_used = Counter(
    "creatify_textgen_credits",
    "Credits that ended generations used.",
    ["account", "model"],
    registry=REGISTRY,
)
credits_unknown = Counter(
    "creatify_textgen_credits_unknown",
    "Ended generations whose cost the remote has not reported.",
    ["account"],
    registry=REGISTRY,
)
durations = Histogram(
    "creatify_textgen_duration_seconds",
    "Seconds from the request to the final status.",
    ["account", "mode", "status"],
    buckets=SECONDS,
    registry=REGISTRY,
)
first_chunks = Histogram(
    "creatify_textgen_first_chunk_seconds",
    "Seconds from the request to the first chunk of its stream.",
    ["account"],
    buckets=FIRST_CHUNK_SECONDS,
    registry=REGISTRY,
)
rejections = Counter(
    "creatify_textgen_webhooks_rejected",
    "Deliveries that were refused.",
    ["reason"],
    registry=REGISTRY,
)
readers = Gauge(
    "creatify_textgen_readers",
    "Readers of streams.",
    # A process that has ended has no readers. A mode without "live" would count them for ever.
    multiprocess_mode="livesum",
    registry=REGISTRY,
)


def listen() -> None:
    """Count from now on. May be called twice."""
    generation_finished.connect(count_end, dispatch_uid="creatify_textgen.prometheus")
    webhook_rejected.connect(count_rejection, dispatch_uid="creatify_textgen.prometheus")
    # Assigned, not added to a list: a second call of `listen` then changes nothing.
    reader_slots.on_change = readers.set


def count_end(*, generation: Generation, **_: Any) -> None:
    account, mode, status = generation.account, generation.mode, generation.status
    model = generation.model_name if generation.model_name in conf.models else OTHER
    ends.labels(account, model, mode, status, generation.error_code).inc()
    # A counter cannot be corrected. A cost that is reported later is only in the metrics of the
    # rows, which read the sums of the database.
    if generation.credits_used is None:
        credits_unknown.labels(account).inc()
    else:
        # Prometheus has binary floats alone. The exact amount is the Decimal of the row.
        credits_used.labels(account, model).inc(float(generation.credits_used))
    if (seconds := generation.duration_seconds) is not None:
        durations.labels(account, mode, status).observe(seconds)
    if mode == Mode.STREAM:
        _count_first_chunk(generation)


def _count_first_chunk(generation: Generation) -> None:
    # The pump marks a stream as running when it has read its first chunk.
    began = generation.events.filter(status=Status.RUNNING).values_list("at", flat=True).first()
    if began is not None:
        seconds = (began - generation.created_at).total_seconds()
        first_chunks.labels(generation.account).observe(seconds)


def count_rejection(*, reason: str, **_: Any) -> None:
    rejections.labels(reason).inc()
