"""The models that a caller may choose, and what is known about them."""

from __future__ import annotations

import re

from creatify_textgen.conf import conf
from creatify_textgen.models import Generation
from creatify_textgen.remote import ModelFacts, facts_of

__all__ = ["ModelFacts", "known_models", "rerouted_models"]

LATEST = 500
"""How many of the newest rows `rerouted_models` reads, by an index."""
# What Google adds to the name of a model for one of its versions: `-001`, `-preview-05-20`. Other
# endings, such as `-lite`, make the name of another model, which has its own price.
VERSION = re.compile(r"(?:-(?:exp|preview|\d+))*")


def known_models() -> list[ModelFacts]:
    """Return the models of the setting `MODELS`, with the default one first. No query.

    Other models are accepted too, unless `RESTRICT_MODELS` is on.
    """
    # The default may be in `MODELS`, too; a dict has it once, and keeps the order.
    names = dict.fromkeys([conf.default_model, *conf.models])
    return [facts_of(name) for name in names]


def rerouted_models() -> dict[str, str]:
    """Return the models of recent streams that another model answered: `{asked: answered}`.

    Only streams report which model answered. A version of the same model (`…-001`) counts as the
    model itself. If several others answered, the latest is returned. One query.
    """
    newest = Generation.objects.order_by("-created_at").values_list("model_name", "model_version")
    rerouted: dict[str, str] = {}
    for asked, answered in newest[:LATEST]:
        if answered and not _is_version(answered, of=asked):
            rerouted.setdefault(asked, answered)
    return rerouted


def _is_version(name: str, *, of: str) -> bool:
    return name.startswith(of) and VERSION.fullmatch(name, len(of)) is not None
