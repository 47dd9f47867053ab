"""How a medium is refused: under `data`, or under what was declared of it. Pure."""

from __future__ import annotations

from creatify_textgen.exceptions import RequestError

__all__ = ["refusal"]


def refusal(rule: str, *, field: str = "data") -> RequestError:
    """Return the error for a rule, told as a sentence without its subject."""
    return RequestError(f"{field}: {rule}", errors={field: [rule]})
