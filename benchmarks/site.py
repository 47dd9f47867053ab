"""A host site for benchmarks. Its settings are in code, and its database is deleted afterwards."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command

from creatify_textgen.conf import DEFAULTS
from tests.celery_app import app

__all__ = ["set_up"]


def set_up() -> None:
    """Configure Django from the tests' settings with a new database for this run.

    TEST_DATABASE_URL selects another database than SQLite; its tables are created and dropped.
    """
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    folder = Path(tempfile.mkdtemp(prefix="textgen-bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ.setdefault("TEST_DATABASE_URL", f"sqlite:///{folder}/bench.sqlite3")
    os.environ["CREATIFY_API_ID"], os.environ["CREATIFY_API_KEY"] = "test-api-id", "test-api-key"
    app.set_default()
    django.setup()
    # One user makes all requests, more than any user may.
    settings.CREATIFY_TEXTGEN = {"LIMITS": dict.fromkeys(DEFAULTS["LIMITS"])}
    call_command("migrate", verbosity=0)
