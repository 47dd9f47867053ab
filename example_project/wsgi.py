"""The WSGI application. Everything works, but each reader of a stream occupies a thread."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from example_project.interpreter import let_collector_rest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")

application = get_wsgi_application()
let_collector_rest()
