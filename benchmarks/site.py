"""A host site for benchmarks: settings in code, its database fresh and thrown away."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command

from tests.celery_app import app

__all__ = ["set_up"]


def set_up() -> None:
    """Configure Django from the tests' settings on a database of this run alone.

    TEST_DATABASE_URL names another than SQLite; its tables are made and dropped.
    """
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    folder = Path(tempfile.mkdtemp(prefix="textgen-bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ.setdefault("TEST_DATABASE_URL", f"sqlite:///{folder}/bench.sqlite3")
    os.environ["CREATIFY_API_ID"], os.environ["CREATIFY_API_KEY"] = "test-api-id", "test-api-key"
    app.set_default()
    django.setup()
    settings.CREATIFY_TEXTGEN = {}
    call_command("migrate", verbosity=0)
