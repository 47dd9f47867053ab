"""A small site around creatify_textgen: what `make demo` shows, and a start for production.

Imports the Celery app, as Celery's guide for Django says, so that tasks are published to it.
"""

from example_project.celery import app as celery_app

__all__ = ["celery_app"]
