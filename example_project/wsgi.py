"""The WSGI application: everything works, each reader of a stream holds a thread."""

from __future__ import annotations

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")

application = get_wsgi_application()

# Keep modules out of garbage collections, each of which would hold up every stream.
gc.collect()
gc.freeze()
