"""The remote's API for any Python program. Of this app it needs only the errors and a logger.

Start at `RemoteClient`; the values it takes and gives are in `contract`.
"""

from __future__ import annotations

from creatify_textgen.remote.catalog import ModelFacts, facts_of
from creatify_textgen.remote.chunk_stream import ChunkStream
from creatify_textgen.remote.chunks import Chunk, ChunkFailure
from creatify_textgen.remote.client import PreparedSend, RemoteClient
from creatify_textgen.remote.contract import (
    Credentials,
    GenerationRequest,
    Listing,
    MediaSource,
    Receipt,
    RemoteClock,
    RemoteGeneration,
    Timeouts,
)
from creatify_textgen.remote.observation import asked_by, traceparent
from creatify_textgen.remote.protocol import parse_chunk, parse_generation, parse_webhook
from creatify_textgen.remote.receipts import latest_receipt
from creatify_textgen.remote.retry import Decision, asked_seconds, backoff_seconds, decide

__all__ = [
    "Chunk",
    "ChunkFailure",
    "ChunkStream",
    "Credentials",
    "Decision",
    "GenerationRequest",
    "Listing",
    "MediaSource",
    "ModelFacts",
    "PreparedSend",
    "Receipt",
    "RemoteClient",
    "RemoteClock",
    "RemoteGeneration",
    "Timeouts",
    "asked_by",
    "asked_seconds",
    "backoff_seconds",
    "decide",
    "facts_of",
    "latest_receipt",
    "parse_chunk",
    "parse_generation",
    "parse_webhook",
    "traceparent",
]
