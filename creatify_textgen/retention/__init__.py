"""How long a person's data is kept, and how it is removed or exported.

A generation's row, cost and timeline stay, so that sums stay right to the last decimal. Its
content goes: prompt, result, metadata, and media that nothing else uses.
Invariant: each step is a short transaction that may be repeated. A row that is not final can
still end, and drops its content then.
"""

from creatify_textgen.retention.deletion import connect_deletions
from creatify_textgen.retention.erasure import EraseReport, erase
from creatify_textgen.retention.exporting import ExportReport, export
from creatify_textgen.retention.pruning import PruneReport, prune
from creatify_textgen.retention.reads import record_reads
from creatify_textgen.retention.tidying import tidy_if_due

__all__ = [
    "EraseReport",
    "ExportReport",
    "PruneReport",
    "connect_deletions",
    "erase",
    "export",
    "prune",
    "record_reads",
    "tidy_if_due",
]
