"""The Celery app: `celery -A example_project worker`. Its settings are Django's CELERY_…"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import worker_process_init, worker_ready

from example_project.interpreter import let_collector_rest, switch_rarely

__all__ = ["app"]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")

app = Celery("example_project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_process_init.connect
@worker_ready.connect
def set_interpreter(**_: Any) -> None:
    let_collector_rest()
    switch_rarely()
