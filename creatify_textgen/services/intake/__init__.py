"""A request as somebody wrote it, made into one that can be saved, compared and sent.

Everything is checked before anything is stored, and everything wrong is told at once, by field.
Invariant: what leaves here is plain JSON of bounded depth and size, without NUL, lone surrogates
or base64. Writes nothing but media.
"""

from creatify_textgen.services.intake.acceptance import Intake, accept
from creatify_textgen.services.intake.body import read_body
from creatify_textgen.services.intake.fingerprints import fingerprint, media_digests
from creatify_textgen.services.intake.wire import StoredSource, media_of, wire_request

__all__ = [
    "Intake",
    "StoredSource",
    "accept",
    "fingerprint",
    "media_digests",
    "read_body",
    "media_of",
    "wire_request",
]
