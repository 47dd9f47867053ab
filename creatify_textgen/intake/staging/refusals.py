"""Makes the error for a refused medium, under `data` or under the declared `mime_type`. Pure."""

from __future__ import annotations

from creatify_textgen.exceptions import RequestError

__all__ = ["refusal"]


def refusal(rule: str, *, field: str = "data") -> RequestError:
    """Return the error for a rule, a sentence whose subject is the field, such as `Is empty.`"""
    return RequestError.about(field, rule)
