"""The vendor's API, for any Python program: no Django, no Celery, nothing of the app but errors.

Start at `RemoteClient`; the values it takes and gives are in `contract`.
"""

from __future__ import annotations

from creatify_textgen.remote.chunk_stream import ChunkStream
from creatify_textgen.remote.chunks import Chunk, ChunkFailure
from creatify_textgen.remote.client import RemoteClient
from creatify_textgen.remote.contract import (
    Credentials,
    GenerationRequest,
    MediaSource,
    Receipt,
    RemoteGeneration,
    Timeouts,
)
from creatify_textgen.remote.protocol import parse_chunk, parse_generation, parse_webhook
from creatify_textgen.remote.retry import Decision, backoff_seconds, decide

__all__ = [
    "Chunk",
    "ChunkFailure",
    "ChunkStream",
    "Credentials",
    "Decision",
    "GenerationRequest",
    "MediaSource",
    "Receipt",
    "RemoteClient",
    "RemoteGeneration",
    "Timeouts",
    "backoff_seconds",
    "decide",
    "parse_chunk",
    "parse_generation",
    "parse_webhook",
]
