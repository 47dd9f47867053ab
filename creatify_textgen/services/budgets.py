"""How much is left of each budget, and what a generation will probably cost."""

from __future__ import annotations

from collections.abc import Iterable

from creatify_textgen import clock, control
from creatify_textgen.conf import conf
from creatify_textgen.control import BudgetState, Estimate
from creatify_textgen.models import Budget

__all__ = ["BudgetState", "Estimate", "budget_states", "estimate"]


def budget_states(budgets: Iterable[Budget] | None = None) -> list[BudgetState]:
    """Return the state of these budgets, or of all, in their current periods."""
    if budgets is None:
        budgets = Budget.objects.select_related("owner", "group").order_by("name")
    return control.read_states(budgets, now=clock.now())


def estimate(model_name: str | None = None) -> Estimate:
    """Return what a generation of this model, or of `DEFAULT_MODEL`, costs here, in credits.

    It is learned from the site's own generations whose cost is known. If nothing is known, the
    amounts of the `Estimate` are None.
    """
    return control.estimate_of(model_name or conf.default_model)
