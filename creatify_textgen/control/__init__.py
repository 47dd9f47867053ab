"""Who may spend how much: one answer for every door, allow or a refusal that says why.

Each function returns if the request is allowed. It raises PolicyRefusal otherwise, before anything
is sent and before a row is saved. The cheapest question comes first: the pause, the fixed limits,
the host's own rule, then what is counted. Nothing here calls the remote.
Invariant: requests of one user are counted one after another, however many arrive at once.
"""

from creatify_textgen.control.admission import admit_refresh, admitted, admitted_uploads
from creatify_textgen.control.budgets import BudgetState, read_states
from creatify_textgen.control.estimates import Estimate, estimate_of
from creatify_textgen.control.pause import (
    CREDITS_CODE,
    find_pause,
    pause_for_credits,
    pause_sending,
    pauses_of,
    resume_sending,
)

__all__ = [
    "CREDITS_CODE",
    "BudgetState",
    "Estimate",
    "admit_refresh",
    "admitted",
    "admitted_uploads",
    "estimate_of",
    "find_pause",
    "pause_for_credits",
    "pause_sending",
    "pauses_of",
    "read_states",
    "resume_sending",
]
