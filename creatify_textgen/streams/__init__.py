"""Streams: begin one, pump it, follow it from any process, and resume at the next frame.

A pump reads the remote's stream and knows no reader. Readers receive frames from the hub, and
from the row if the hub no longer has them. Invariant: a reader that leaves stops no generation.
"""

from creatify_textgen.remote import Chunk
from creatify_textgen.streams.begin import begin_stream, get_or_begin_stream
from creatify_textgen.streams.checkpoints import stop_here
from creatify_textgen.streams.hub import try_address
from creatify_textgen.streams.pump import pump_stream
from creatify_textgen.streams.sessions import (
    AsyncGenerationStream,
    GenerationStream,
    aattach,
    astream,
    attach,
    stream,
)
from creatify_textgen.streams.transcript import chunk_of

__all__ = [
    "AsyncGenerationStream",
    "Chunk",
    "GenerationStream",
    "aattach",
    "astream",
    "attach",
    "begin_stream",
    "chunk_of",
    "get_or_begin_stream",
    "pump_stream",
    "stop_here",
    "stream",
    "try_address",
]
