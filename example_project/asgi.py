"""The ASGI application, in which one process can serve many readers of streams.

With DEBUG it serves static files itself, like `runserver`.
"""

from __future__ import annotations

import os

from django.conf import settings
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application

from example_project.interpreter import let_collector_rest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")

application = get_asgi_application()
if settings.DEBUG:
    application = ASGIStaticFilesHandler(application)
let_collector_rest()
