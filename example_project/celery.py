"""The Celery app: `celery -A example_project worker`. Its settings are Django's, CELERY_…"""

from __future__ import annotations

import gc
import os
from typing import Any

from celery import Celery
from celery.signals import worker_process_init, worker_ready

__all__ = ["app"]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")

app = Celery("example_project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_process_init.connect
@worker_ready.connect
def spare_what_is_loaded(**_: Any) -> None:
    """Keep modules out of garbage collections, each of which would hold up every stream."""
    gc.collect()
    gc.freeze()
