"""A small site that uses creatify_textgen, for `make demo` and as a start for production.

Imports the Celery app, as Celery's guide for Django says, so that tasks go to its broker.
"""

from example_project.celery import app as celery_app

__all__ = ["celery_app"]
