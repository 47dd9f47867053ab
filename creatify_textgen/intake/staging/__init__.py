"""Reads an image or a video into a temporary file, measures and hashes it, recognizes its format.

Stores nothing, and knows neither rows nor owners. Invariant: a staged medium was read to its end,
is within the limits, and has the declared type.
"""

from creatify_textgen.intake.staging.formats import canonical_mime_type, sniff
from creatify_textgen.intake.staging.reading import StagedMedia, stage

__all__ = ["StagedMedia", "canonical_mime_type", "sniff", "stage"]
