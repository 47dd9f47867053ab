"""Rows, constraints and QuerySet adjectives. No network, no writes of status."""

from creatify_textgen.models.bookkeeping import Circuit, SweepAlarm, UsageDay
from creatify_textgen.models.compiled import CompiledQuery
from creatify_textgen.models.generation import Generation, GenerationContent, GenerationEvent
from creatify_textgen.models.identifiers import uuid7
from creatify_textgen.models.media import Media
from creatify_textgen.models.querysets import GenerationQuerySet

__all__ = [
    "Circuit",
    "CompiledQuery",
    "Generation",
    "GenerationContent",
    "GenerationEvent",
    "GenerationQuerySet",
    "Media",
    "SweepAlarm",
    "UsageDay",
    "uuid7",
]
