"""What is known of the models: when each ends, its successor, and what it does not accept.

These facts are for people. They are not an enum: the remote may add models at any time, and any
name of up to 255 characters may be sent. Each fact has its source and the day it was read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

__all__ = ["MODELS", "ModelFacts", "facts_of", "wants_signatures"]

_SAMPLING = ("temperature", "top_p", "top_k")
# "Penalty is not enabled for this model", say the 2.5 line and all newer models (section 3.2).
_PENALTIES = ("presence_penalty", "frequency_penalty")
_GUIDE = "Creatify's guide"
_DEPRECATIONS = "Google's deprecation page of the Gemini API"


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One model, as far as it is known."""

    name: str
    ends_on: date | None = None
    """The day from which requests for it go to `successor`, or None if none is announced."""
    successor: str = ""
    """The model that answers after the end, at its own price."""
    ignores: tuple[str, ...] = ()
    """Parameters of `config` that it accepts without effect."""
    refuses: tuple[str, ...] = ()
    """Parameters of `config` for which it answers 400."""
    source: str = _GUIDE
    read_on: date = date(2026, 11, 27)

    def has_ended(self, today: date) -> bool:
        return self.ends_on is not None and self.ends_on <= today


MODELS: tuple[ModelFacts, ...] = (
    ModelFacts("gemini-3-flash-preview", refuses=_PENALTIES),
    ModelFacts("gemini-3.1-pro-preview", refuses=_PENALTIES),
    # On Vertex AI the last day of both was 2026-10-16; which of the two Creatify uses is unknown.
    ModelFacts(
        "gemini-2.5-flash",
        ends_on=date(2026, 12, 1),
        successor="gemini-3.5-flash-lite",
        refuses=_PENALTIES,
        source=_DEPRECATIONS,
        read_on=date(2026, 11, 10),
    ),
    ModelFacts(
        "gemini-2.5-pro",
        ends_on=date(2026, 12, 1),
        successor="gemini-3.8-flash",
        refuses=_PENALTIES,
        source=_DEPRECATIONS,
        read_on=date(2026, 11, 10),
    ),
    ModelFacts(
        "gemini-3.1-flash-lite-preview",
        ends_on=date(2026, 5, 25),
        successor="gemini-3.1-flash-lite",
        refuses=_PENALTIES,
        source=_DEPRECATIONS,
        read_on=date(2026, 11, 10),
    ),
    ModelFacts("gemini-3.1-flash-lite", refuses=_PENALTIES, source=_DEPRECATIONS),
    ModelFacts("gemini-3.5-flash", refuses=_PENALTIES, source=_DEPRECATIONS),
    ModelFacts(
        "gemini-3.5-flash-lite", ignores=_SAMPLING, refuses=_PENALTIES, source=_DEPRECATIONS
    ),
    ModelFacts("gemini-3.6-flash", ignores=_SAMPLING, refuses=_PENALTIES, source=_DEPRECATIONS),
    ModelFacts("gemini-3.7-flash", ignores=_SAMPLING, refuses=_PENALTIES, source=_DEPRECATIONS),
    ModelFacts("gemini-3.8-flash", ignores=_SAMPLING, refuses=_PENALTIES, source=_DEPRECATIONS),
)

_BY_NAME = {facts.name: facts for facts in MODELS}


def wants_signatures(name: str, *, today: date) -> bool:
    """Whether the model that answers wants the signatures of its calls back, as Gemini 3 does."""
    facts = facts_of(name)
    answering = facts.successor if facts.has_ended(today) else name
    return not answering.startswith(("gemini-1", "gemini-2"))


def facts_of(name: str) -> ModelFacts:
    """Return what is known of a model; for an unknown model only its name."""
    return _BY_NAME.get(name) or ModelFacts(name, source="")
