"""The streaming journey: begin, pump, follow from anywhere, and come back to the next frame.

A pump owns the remote's stream and knows no reader; readers follow the hub, and the row where
the hub has forgotten. Invariant: a reader that leaves never stops a generation.
"""

from creatify_textgen.services.streaming.beginning import first_frame
from creatify_textgen.services.streaming.following import follow, follow_async
from creatify_textgen.services.streaming.pump import pump_stream
from creatify_textgen.services.streaming.sessions import (
    AsyncGenerationStream,
    GenerationStream,
    aattach,
    astream,
    attach,
    begin_or_repeat,
    begin_stream,
    stream,
)

__all__ = [
    "AsyncGenerationStream",
    "GenerationStream",
    "aattach",
    "astream",
    "attach",
    "begin_or_repeat",
    "begin_stream",
    "first_frame",
    "follow",
    "follow_async",
    "pump_stream",
    "stream",
]
