"""`GET health/` for a supervisor, `GET health/?ready` for a load balancer.

Invariant: neither calls the remote, so an outage there restarts nothing here. A stranger learns
only yes or no.
"""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from creatify_textgen import databases
from creatify_textgen.logs import REQUESTS, warn_of
from creatify_textgen.monitoring.access import has_token
from creatify_textgen.monitoring.readiness import current_failures

__all__ = ["health"]


def health(request: HttpRequest) -> HttpResponse:
    """Answer 200 if this process lives; with `?ready`, 503 if something that it needs fails."""
    if "ready" not in request.GET:
        return JsonResponse({"status": "ok"})
    failures = current_failures()
    for part in failures:
        warn_of(("not ready", part), REQUESTS, "This process is not ready: %s", part)
    body: dict[str, object] = {"status": "not ready" if failures else "ok"}
    if has_token(request):
        body["failures"] = list(failures)
    return JsonResponse(body, status=503 if failures else 200)


# With ATOMIC_REQUESTS an unreachable database would raise outside of the view.
health = databases.outside_transactions(login_not_required(never_cache(require_safe(health))))
