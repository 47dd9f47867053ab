"""The Celery app of a worker that is to be killed: `celery -A tests.faults.kills.worker worker`.

Where it dies is in the environment, as a `KillPoint` in JSON; without one it lives.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import django
from celery.signals import worker_process_init, worker_ready

django.setup()

from tests.celery_app import app  # noqa: E402
from tests.faults.kills.journeys import note_finished_in  # noqa: E402
from tests.faults.kills.points import KillPoint, install  # noqa: E402

__all__ = ["app"]


def arm(**_: Any) -> None:
    """Arm the first process that may run tasks: the worker, or its child if it has children."""
    note_finished_in(os.environ["FAULTS_FINISHED"])
    armed = Path(os.environ["FAULTS_FINISHED"] + ".armed")
    if (kill := os.environ.get("FAULTS_KILL")) and not armed.exists():
        armed.touch()
        install(KillPoint(**json.loads(kill)))


worker_process_init.connect(arm)
worker_ready.connect(arm)
