"""The models that a caller may choose, and what is known about them."""

from __future__ import annotations

from creatify_textgen.conf import conf
from creatify_textgen.models import Generation
from creatify_textgen.remote import ModelFacts, facts_of

__all__ = ["ModelFacts", "known_models", "rerouted_models"]

LOOKED_AT = 500
"""How many of the newest rows `rerouted_models` reads, by an index."""


def known_models() -> list[ModelFacts]:
    """Return the models of the setting `MODELS`, with the default one first. No query.

    Other models are accepted too, unless `RESTRICT_MODELS` is on.
    """
    names = dict.fromkeys([conf.default_model, *conf.models])
    return [facts_of(name) for name in names]


def rerouted_models() -> dict[str, str]:
    """Return the models of recent streams that another model answered: `{asked: answered}`.

    Only streams report which model answered. A version of the same model (`…-001`) counts as the
    model itself. One query.
    """
    newest = Generation.objects.order_by("-created_at").values_list("model_name", "model_version")
    pairs = dict.fromkeys(pair for pair in newest[:LOOKED_AT] if pair[1])
    return {asked: answered for asked, answered in pairs if not answered.startswith(asked)}
