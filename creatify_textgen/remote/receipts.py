"""Which receipt of a stream counts, if there are several or one comes too soon. Pure.

The remote writes 0 for a cost that it does not know yet (section 7), and a receipt after which the
answer goes on is not its end, whatever it cost so far. Invariant: a cost that is known is not
replaced by one that is not.
"""

from __future__ import annotations

from creatify_textgen.remote.chunks import Chunk
from creatify_textgen.remote.contract import Receipt

__all__ = ["latest_receipt"]


def latest_receipt(known: Receipt | None, chunk: Chunk) -> Receipt | None:
    """Return the receipt of a stream after this chunk; `known` is the one before it."""
    found = chunk.receipt
    receipt = found or known
    # A receipt without a cost, or with 0, replaces no cost, even if it comes later.
    if known is not None and known.credits_used and not (found and found.credits_used):
        receipt = known
    if receipt is None or not chunk.has_candidates:
        return receipt
    is_free = not receipt.credits_used
    goes_on = not chunk.has_finished and (is_free or known is not None)
    if found is None or goes_on:
        return receipt._replace(credits_used=receipt.credits_used or None, is_early=True)
    return receipt._replace(is_early=False)
