"""Checks a request from a caller and returns one that can be saved, compared and sent.

Everything is checked before anything is stored. One error reports all wrong fields. Invariant: an
accepted request is plain JSON of limited depth and size, without NUL, lone surrogates or base64.
Writes only media.
"""

from creatify_textgen.intake.acceptance import Intake, accept, excerpt_of
from creatify_textgen.intake.body import check_arguments, check_options, read_body
from creatify_textgen.intake.fingerprints import (
    fingerprint,
    fingerprints,
    key_digest,
    media_digests,
    sealed,
    texts_digest,
)
from creatify_textgen.intake.rows import expect_generation, expect_row

__all__ = [
    "Intake",
    "accept",
    "check_arguments",
    "check_options",
    "excerpt_of",
    "expect_generation",
    "expect_row",
    "fingerprint",
    "fingerprints",
    "key_digest",
    "media_digests",
    "read_body",
    "sealed",
    "texts_digest",
]
