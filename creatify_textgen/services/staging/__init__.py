"""A medium on its way in: read in blocks, measured, hashed and recognized in a temporary file.

Stores nothing and knows no rows' owners. Invariant: what was staged was read to its end, keeps
the limits, and is what it was declared to be.
"""

from creatify_textgen.services.staging.formats import canonical_mime_type, sniff
from creatify_textgen.services.staging.reading import StagedMedia, stage

__all__ = ["StagedMedia", "canonical_mime_type", "sniff", "stage"]
