"""The tables, their constraints and their QuerySets. No network; `lifecycle` writes statuses."""

from creatify_textgen.models.amounts import Credits, credits_text
from creatify_textgen.models.balances import BalanceReading
from creatify_textgen.models.bookkeeping import (
    Allowance,
    Circuit,
    DailySums,
    DeletedGeneration,
    Pause,
    SweepSchedule,
    UsageDay,
    UsageTotal,
)
from creatify_textgen.models.budgets import Budget, BudgetHold, BudgetPeriod
from creatify_textgen.models.bulk import BulkJob, BulkSlice
from creatify_textgen.models.content import GenerationContent, GenerationEvent
from creatify_textgen.models.counters import increased, largest
from creatify_textgen.models.generation import Generation
from creatify_textgen.models.identifiers import read_uuid, uuid7
from creatify_textgen.models.media import Media
from creatify_textgen.models.querysets import GenerationQuerySet, PauseQuerySet, WrittenManager

__all__ = [
    "Credits",
    "credits_text",
    "BalanceReading",
    "Budget",
    "BudgetHold",
    "BudgetPeriod",
    "Allowance",
    "BulkJob",
    "BulkSlice",
    "Circuit",
    "DailySums",
    "DeletedGeneration",
    "Generation",
    "GenerationContent",
    "GenerationEvent",
    "GenerationQuerySet",
    "Media",
    "Pause",
    "PauseQuerySet",
    "SweepSchedule",
    "UsageDay",
    "UsageTotal",
    "WrittenManager",
    "increased",
    "largest",
    "read_uuid",
    "uuid7",
]
