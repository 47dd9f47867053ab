"""`GET metrics/`: the counts of the processes and the figures of the database, as text."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from django.contrib.auth.decorators import login_not_required
from django.db import Error as DatabaseFault
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from creatify_textgen import databases
from creatify_textgen.contrib.prometheus.counters import REGISTRY
from creatify_textgen.contrib.prometheus.rows import RowCollector
from creatify_textgen.monitoring.access import may_read_metrics
from creatify_textgen.monitoring.examination import Examination
from creatify_textgen.per_process import per_process

__all__ = ["metrics"]


def metrics(request: HttpRequest) -> HttpResponse:
    """Answer with all figures; 401 to strangers, 503 if the database does not answer.

    Waits for the database ten seconds at most, and one request at a time reads it.
    """
    try:
        if not may_read_metrics(request):
            return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
        # Together they are one exposition, because no name is in both.
        text = _counts() + _figures().result()
    except (DatabaseFault, TimeoutError):
        return HttpResponse(status=503)
    return HttpResponse(text, content_type=CONTENT_TYPE_LATEST)


@per_process
def _figures() -> Examination[bytes]:
    return Examination(_read_figures)


def _read_figures() -> bytes:
    registry = CollectorRegistry()
    registry.register(RowCollector())
    return generate_latest(registry)


def _counts() -> bytes:
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if not folder:
        return generate_latest(REGISTRY)
    _forget_dead_processes(Path(folder))
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def _forget_dead_processes(folder: Path) -> None:
    """Drop the readers of processes that have ended; their counts stay."""
    # gunicorn has a hook for this (`child_exit`), but other servers and killed processes have none.
    for file in folder.glob("gauge_live*_*.db"):
        pid = file.stem.rpartition("_")[2]
        if pid.isdecimal() and not _is_alive(int(pid)):
            # Another process that is scraped at the same time may remove the file first.
            with suppress(FileNotFoundError):
                mark_process_dead(pid, path=str(folder))  # type: ignore[no-untyped-call]


def _is_alive(pid: int) -> bool:
    # Signal 0 is not sent: the system only checks the id (POSIX, kill). The processes of another
    # container have other ids, so containers must not share the folder.
    with suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    # A refused permission proves that the process exists: another user runs it.
    return True


# With ATOMIC_REQUESTS an unreachable database would raise outside of the view.
metrics = databases.outside_transactions(login_not_required(never_cache(require_safe(metrics))))
