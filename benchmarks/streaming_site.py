"""The site of the streaming benchmarks for an ASGI server, with frames in Redis."""

from __future__ import annotations

import os

import django
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.core.asgi import get_asgi_application  # noqa: E402

settings.CREATIFY_TEXTGEN["STREAM_BACKEND"] = os.environ["BENCH_STREAM_BACKEND"]
application = get_asgi_application()
