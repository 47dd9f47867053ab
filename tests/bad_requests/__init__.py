"""Wrong requests, as one table that every door's tests run: Python, REST, multipart, command line.

Each names the field that its error must stand under and words that its text must hold.
"""

from __future__ import annotations

from tests.bad_requests.bodies import BODIES, METADATA, MODELS, SYSTEM
from tests.bad_requests.configs import CONFIGS
from tests.bad_requests.messages import CALLS, MESSAGES
from tests.bad_requests.parts import PARTS, REFERENCES
from tests.bad_requests.shapes import PNG, PNG_TEXT, PROMPT, BadRequest, nested, request_body
from tests.bad_requests.tools import TOOLS

__all__ = [
    "BAD_REFERENCES",
    "BAD_REQUESTS",
    "PNG",
    "PNG_TEXT",
    "PROMPT",
    "BadRequest",
    "nested",
    "request_body",
]

BAD_REQUESTS: list[BadRequest] = [
    *BODIES,
    *MODELS,
    *SYSTEM,
    *METADATA,
    *MESSAGES,
    *CALLS,
    *PARTS,
    *CONFIGS,
    *TOOLS,
]
"""Wrong by themselves: refused without a look into the database."""

BAD_REFERENCES: list[BadRequest] = REFERENCES
"""Right in form, but nothing has these ids, which only the database shows."""
