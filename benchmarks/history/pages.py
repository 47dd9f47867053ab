"""What is measured: the pages and answers that read a history, by name and path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import Count
from django.utils import timezone

from benchmarks.history.seed import MODELS, PER_USER
from creatify_textgen.models import Generation

__all__ = ["Page", "Samples", "pages", "read_samples"]

HISTORY = "/admin/creatify_textgen/generation/"
STOCK = "/stock/creatify_textgen/generation/"
REST = "/textgen/generations/"


class Page(NamedTuple):
    name: str
    path: str
    is_mine: bool = False
    """Whether a user of average use asks, instead of staff."""


class Samples(NamedTuple):
    """Rows of one database that the paths name."""

    generation: UUID
    remote_id: str
    owner: int
    """A user who has about as many generations as the average."""


def read_samples(*, using: str) -> Samples:
    rows = Generation.objects.using(using).filter(remote_id__isnull=False)
    middle = rows.order_by("created_at").only("pk", "remote_id")[rows.count() // 2]
    counts = rows.exclude(owner=None).order_by().values_list("owner").annotate(Count("pk"))
    owner, _ = min(counts, key=lambda pair: abs(pair[1] - PER_USER))
    assert get_user_model()._default_manager.using(using).filter(pk=owner).exists()
    return Samples(middle.pk, str(middle.remote_id), owner)


def pages(samples: Samples) -> Iterator[Page]:
    yield Page("stock ModelAdmin, first page", STOCK)
    yield from _admin(samples)
    yield from _rest(samples)


def _admin(samples: Samples) -> Iterator[Page]:
    yield Page("admin, first page", HISTORY)
    asked = {
        "status failed": "status__exact=failed",
        "status done": "status__exact=done",
        "status pending": "status__exact=pending",
        "mode sync": "mode__exact=sync",
        "mode that nobody used": "mode__exact=imported",
        "unknown model": "model_name=nobody",
        "unknown error code": "error_code=nobody",
        "owner": f"owner={samples.owner}",
        "owner, cost unknown": f"owner={samples.owner}&attention=cost",
        "unconfirmed or expired": "attention=lost",
        "overdue": "attention=overdue",
        "cost unknown": "attention=cost",
        "not ended": "attention=open",
        "7 days": "period=7",
        "search of a word": "q=tagline",
        "search of a word that is nowhere": "q=nowhere",
        "search of an id": f"q={samples.generation}",
        "search of a remote id": f"q={samples.remote_id}",
        "search of a user": "q=user17",
        "page 100": "p=100",
    }
    for name, query in asked.items():
        yield Page(f"admin, {name}", f"{HISTORY}?{query}")
    yield Page("admin, one generation", f"{HISTORY}{samples.generation}/change/")
    yield Page("admin, credits of 30 days", f"{HISTORY}credits/")
    yield Page("admin, credits of all time", f"{HISTORY}credits/?period=all")
    yield Page("admin, sums of 30 days", f"{HISTORY}totals/?period=30")
    yield Page("admin, export of 7 days", f"{HISTORY}export/csv/?period=7")
    yield Page("admin, index of the app", "/admin/creatify_textgen/")
    yield Page("admin, usage by day", "/admin/creatify_textgen/usageday/")
    yield Page(
        "admin, usage of a model", f"/admin/creatify_textgen/usageday/?model_name={MODELS[1]}"
    )


def _rest(samples: Samples) -> Iterator[Page]:
    since = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    asked = {
        "list": "",
        "oldest first": "ordering=created_at",
        "latest change first": "ordering=-updated_at",
        "status failed": "status=failed",
        "mode sync": "mode=sync",
        "mode that nobody used": "mode=imported",
        "unknown model": "model_name=nobody",
        "one of the models": f"model_name={MODELS[3]}",
        "other account": "account=nobody",
        "today": f"created_after={since:%Y-%m-%d}",
        "search of a word": "search=tagline",
        "search of a word that is nowhere": "search=nowhere",
        "search of an id": f"search={samples.generation}",
        "search of a remote id": f"search={samples.remote_id}",
        "metadata": "metadata__order=17",
    }
    for name, query in asked.items():
        yield Page(f"REST for staff, {name}", f"{REST}?{query}")
        yield Page(f"REST for a user, {name}", f"{REST}?{query}", is_mine=True)
    yield Page("REST for staff, of an owner", f"{REST}?owner={samples.owner}")
    yield Page("REST, one generation", f"{REST}{samples.generation}/")
    yield Page("REST for staff, credits of all", "/textgen/credits/?all=true")
    yield Page("REST for staff, credits by owner", "/textgen/credits/?by_owner=true")
    yield Page("REST for a user, credits", "/textgen/credits/", is_mine=True)
    yield Page("REST, estimate", f"/textgen/estimate/?model_name={MODELS[0]}")
    yield Page("REST, estimate of an unknown model", "/textgen/estimate/?model_name=nobody")
