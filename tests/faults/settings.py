"""The tests' host with the app's settings from the environment: for separate processes."""

import json
import os

from tests.settings import *  # noqa: F403

CREATIFY_TEXTGEN = json.loads(os.environ.get("FAULTS_TEXTGEN", "{}"))
CELERY_TASK_ACKS_LATE = os.environ.get("FAULTS_ACKS_LATE") == "yes"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
