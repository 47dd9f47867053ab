"""The Celery app: `celery -A example_project worker`. Its settings are Django's, CELERY_…"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import worker_process_init, worker_ready

from example_project.collector import let_it_rest

__all__ = ["app"]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")

app = Celery("example_project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_process_init.connect
@worker_ready.connect
def set_collector(**_: Any) -> None:
    let_it_rest()
