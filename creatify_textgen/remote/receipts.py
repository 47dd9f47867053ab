"""Which receipt of a stream counts, if there are several or one comes too soon. Pure.

The remote writes 0 for a cost that it does not know yet (section 7), so a receipt before the end
proves nothing. Invariant: a cost that is known is not replaced by one that is not.
"""

from __future__ import annotations

from dataclasses import replace

from creatify_textgen.remote.chunks import Chunk
from creatify_textgen.remote.contract import Receipt

__all__ = ["latest_receipt"]


def latest_receipt(known: Receipt | None, chunk: Chunk) -> Receipt | None:
    """Return the receipt of a stream after this chunk; `known` is the one before it."""
    found = chunk.receipt
    if known is not None and known.credits_used and not (found and found.credits_used):
        return known
    receipt = found or known
    if receipt is None or receipt.credits_used:
        return receipt
    goes_on = chunk.has_candidates and not chunk.has_finished
    if goes_on or (found is None and chunk.has_candidates):
        return replace(receipt, credits_used=None, is_early=True)
    return receipt
