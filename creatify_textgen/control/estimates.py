"""What a generation will probably cost: learned from this site's own settled generations.

The vendor has no price list. Invariant: an amount that is not known is None.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from django.db.models import Sum

from creatify_textgen import site_cache
from creatify_textgen.control.quantiles import quantile
from creatify_textgen.models import Generation, UsageTotal
from creatify_textgen.states import Status

__all__ = ["Estimate", "estimate_of"]

SAMPLE = 2000
"""How many of the latest generations are read, of all models and accounts together."""
KEPT_SECONDS = 300
"""How long an estimate is used. The prices of a model seldom change."""
NOTHING_KEPT_SECONDS = 10
"""Short, so that the first known cost counts soon."""
# Gemini's count (contract, 6.3), with the thinking that is charged and not shown.
TOKENS = "total_token_count"
PLACES = Decimal("1e-8")
"""Of an amount: Creatify's guide shows four places, and a row stores ten."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What generations of one model cost here, in credits. None if nothing is known."""

    model_name: str
    sample: int = 0
    """How many generations of the model with a known cost were read."""
    median: Decimal | None = None
    p95: Decimal | None = None
    """Of 100 generations, 95 cost at most this."""
    mean: Decimal | None = None
    """Of the sample; if it is empty, of all known costs of the model."""
    token_sample: int = 0
    """How many of them also have a count of tokens. Only streams report it."""
    median_per_1000_tokens: Decimal | None = None
    p95_per_1000_tokens: Decimal | None = None
    since: datetime | None = None
    """When the oldest of the sample was created."""

    @property
    def reserved(self) -> Decimal:
        """What a budget in credits reserves for one generation: 0 if nothing is known."""
        # Not the median: half of all requests would then cost more than what was reserved.
        return self.p95 or self.mean or Decimal()


def estimate_of(model_name: str) -> Estimate:
    """Return what is known of a model. No query while the cache knows it, for five minutes."""
    known = _remembered("latest", _learn)
    if model_name in known:
        return Estimate(**known[model_name])
    # A caller chooses the name, and a cache may refuse spaces and long keys.
    digest = hashlib.sha256(model_name.encode()).hexdigest()
    return Estimate(model_name, mean=_remembered(digest, partial(_mean, model_name)))


def _remembered(name: str, learn: Callable[[], Any]) -> Any:
    """Return a value from the cache. If the cache fails, only the query is repeated."""
    key = f"creatify_textgen:estimate:{name}"
    # In a tuple, because None is an answer, too.
    found = site_cache.recall(key)
    if not found:
        found = (learn(),)
        seconds = KEPT_SECONDS if found[0] else NOTHING_KEPT_SECONDS
        site_cache.remember(key, found, seconds=seconds)
    return found[0]


def _learn() -> dict[str, dict[str, Any]]:
    """Return the fields of an `Estimate` for each model among the latest. One query."""
    # A generation that failed may have cost nothing, and would make the estimate too low.
    done = Generation.objects.filter(status=Status.DONE).order_by("-created_at")
    columns = ("model_name", "credits_used", "created_at", "content__usage")
    costs: dict[str, list[Decimal]] = defaultdict(list)
    rates: dict[str, list[Decimal]] = defaultdict(list)
    since: dict[str, datetime] = {}
    for model_name, cost, created_at, usage in done.values_list(*columns)[:SAMPLE]:
        if cost is None:
            continue
        costs[model_name].append(cost)
        # The newest row comes first, so the last one that is read is the oldest.
        since[model_name] = created_at
        tokens = usage.get(TOKENS) if isinstance(usage, dict) else None
        if isinstance(tokens, int) and tokens > 0:
            rates[model_name].append(cost * 1000 / tokens)
    return {
        name: {
            "model_name": name,
            "sample": len(found),
            "median": _quantile(found, 0.5),
            "p95": _quantile(found, 0.95),
            "mean": _rounded(sum(found, Decimal()) / len(found)),
            "token_sample": len(rates[name]),
            "median_per_1000_tokens": _quantile(rates[name], 0.5),
            "p95_per_1000_tokens": _quantile(rates[name], 0.95),
            "since": since[name],
        }
        for name, found in costs.items()
    }


def _mean(model_name: str) -> Decimal | None:
    usage = UsageTotal.objects.filter(model_name=model_name, status=Status.DONE)
    sums = usage.aggregate(
        used=Sum("credits_used"), rows=Sum("generations"), unknown=Sum("credits_unknown")
    )
    known = (sums["rows"] or 0) - (sums["unknown"] or 0)
    return _rounded(sums["used"] / known) if known > 0 else None


def _quantile(values: Sequence[Decimal], share: float) -> Decimal | None:
    found = quantile(sorted(values), share)
    return None if found is None else _rounded(found)


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(PLACES)
