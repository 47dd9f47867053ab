"""How long the pump of a stream may be silent before it counts as dead.

Invariant: a pump gives several signs of life in that time, so one late write is not its end.
"""

from __future__ import annotations

from creatify_textgen.conf import conf

__all__ = ["SIGN_OF_LIFE_SECONDS", "longest_silence"]

SIGN_OF_LIFE_SECONDS = 15.0
"""How often the row of a stream without new text is written."""
LEAST_SILENCE_SECONDS = 4 * SIGN_OF_LIFE_SECONDS
"""Used if the setting `stream_idle` is shorter."""


def longest_silence() -> float:
    """Return the seconds without a write of its row for which a pump may still be alive."""
    return max(conf.timeouts["stream_idle"], LEAST_SILENCE_SECONDS)
