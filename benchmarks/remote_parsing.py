"""How fast a stream is read: our parser compared with a plain split and `json.loads`.

Prints the best of several rounds and the ratios; the aim is at least 0.7. Then prints how soon, and
with how much memory, an event without an end is refused.

    python benchmarks/remote_parsing.py [chunks]
"""

from __future__ import annotations

import json
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator

from creatify_textgen.exceptions import StreamError
from creatify_textgen.remote.chunk_reader import read_chunks
from creatify_textgen.remote.sse import DEFAULT_EVENT_CAP, read_events

ROUNDS = 5
BLOCK_BYTES = 64 * 1024
FLOOR = "bare split and json.loads"
RECEIPT = b'data: {"creatify":{"id":"r-1","credits_used":0.0005}}\n\n'

Contest = tuple[Callable[[bytes], int], bytes]


def make_stream(count: int) -> bytes:
    return b"".join(make_event(number) for number in range(count)) + RECEIPT


def make_event(number: int) -> bytes:
    answer = {
        "candidates": [
            {
                "content": {
                    "role": "model",
                    "parts": [{"text": f"Piece {number} of what the model has to say — "}],
                },
                "index": 0,
            }
        ],
        "usageMetadata": {
            "promptTokenCount": 18,
            "candidatesTokenCount": number,
            "totalTokenCount": 18 + number,
        },
        "modelVersion": "gemini-2.5-flash",
        "responseId": "r1",
    }
    raw = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
    return b"data: " + raw.encode() + b"\n\n"


def split_and_load(stream: bytes) -> int:
    count = 0
    for event in stream.split(b"\n\n"):
        if event:
            json.loads(event[6:])
            count += 1
    return count


def read_typed(stream: bytes) -> int:
    return sum(1 for _chunk in read_chunks(blocks_of(stream)))


def read_typed_and_text(stream: bytes) -> int:
    return sum(1 for chunk in read_chunks(blocks_of(stream)) if chunk.text is not None)


def blocks_of(stream: bytes) -> Iterator[bytes]:
    for start in range(0, len(stream), BLOCK_BYTES):
        yield stream[start : start + BLOCK_BYTES]


def best_rates(contests: dict[str, Contest]) -> dict[str, float]:
    """Return chunks per second of CPU time. Rounds alternate, so that noise affects all equally."""
    best = dict.fromkeys(contests, float("inf"))
    count = 0
    for _ in range(ROUNDS):
        for name, (work, stream) in contests.items():
            started = time.process_time()
            count = work(stream)
            best[name] = min(best[name], time.process_time() - started)
    return {name: count / seconds for name, seconds in best.items()}


def refuse_endless_event(total: int) -> tuple[float, float]:
    """Return the seconds until one event of 64 MiB is refused, and the peak memory / the limit."""

    def blocks() -> Iterator[bytes]:
        yield b"data: "
        for _ in range(total // BLOCK_BYTES):
            yield b"x" * BLOCK_BYTES

    started = time.perf_counter()
    tracemalloc.start()
    try:
        for _event in read_events(blocks()):
            pass
    except StreamError:
        seconds = time.perf_counter() - started
        peak = tracemalloc.get_traced_memory()[1]
        return seconds, peak / DEFAULT_EVENT_CAP
    finally:
        tracemalloc.stop()
    raise SystemExit("not refused")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    stream = make_stream(count)
    crlf = stream.replace(b"\n", b"\r\n")
    rates = best_rates(
        {
            FLOOR: (split_and_load, stream),
            "typed, LF": (read_typed, stream),
            "typed, CRLF": (read_typed, crlf),
            "typed and their text, LF": (read_typed_and_text, stream),
            "typed and their text, CRLF": (read_typed_and_text, crlf),
        }
    )
    print(f"{count:,} chunks of {len(stream) // count} bytes, a second of CPU time")
    for name, rate in rates.items():
        print(f"{name:32} {rate:12,.0f}  {rate / rates[FLOOR]:.2f}")
    seconds, caps = refuse_endless_event(64 * 1024 * 1024)
    print(f"64 MiB in one event: refused after {seconds:.2f} s, peak {caps:.2f} x the cap")


if __name__ == "__main__":
    main()
