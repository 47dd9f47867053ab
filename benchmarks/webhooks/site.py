"""The site that `webhook_receipt` measures: our receiver and a view that only answers 204.

BENCH_CONNECTIONS selects the connections to the database: `persistent` (CONN_MAX_AGE of None),
`per_request` (CONN_MAX_AGE of 0) or `pool`.
"""

from __future__ import annotations

import os

import django
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

CONNECTIONS = {
    "persistent": {"CONN_MAX_AGE": None},
    "per_request": {"CONN_MAX_AGE": 0},
    "pool": {"CONN_MAX_AGE": 0, "OPTIONS": {"pool": True}},
}

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
settings.ROOT_URLCONF = __name__
settings.DATABASES["default"].update(CONNECTIONS[os.environ.get("BENCH_CONNECTIONS", "persistent")])
django.setup()

from tests import celery_app as _celery_app  # noqa: E402, F401


@csrf_exempt
def bare(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=204)


urlpatterns = [
    path("bare/", bare),
    path("textgen/", include("creatify_textgen.urls")),
]
application = WSGIHandler()
asgi_application = ASGIHandler()
