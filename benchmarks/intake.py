"""The cost of accepting a request, compared with `json.dumps`. Run: python benchmarks/intake.py"""

from __future__ import annotations

import argparse
import base64
import json
import os
import statistics
import sys
import timeit
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()  # before anything that imports models

from creatify_textgen.intake import accept  # noqa: E402
from creatify_textgen.intake.staging import stage  # noqa: E402

MIB = 1024 * 1024
TAGLINE = {
    "messages": [{"role": "user", "content": "Write a short tagline for an AI video tool."}],
    "model_name": "gemini-2.5-flash",
    "system_instruction": "You are a creative marketing copywriter.",
    "config": {"temperature": 0.8, "max_output_tokens": 256},
}
WEATHER = {
    "messages": [
        {"role": "user", "content": "What is the weather in San Francisco?"},
        {
            "role": "model",
            "function_call": {"name": "get_weather", "args": {"location": "San Francisco"}},
        },
        {
            "role": "user",
            "function_response": {
                "name": "get_weather",
                "response": {"temperature": 62, "condition": "Foggy"},
            },
        },
    ],
    "model_name": "gemini-2.5-flash",
    "tools": [
        {
            "function_declarations": [
                {
                    "name": "get_weather",
                    "description": "Get the current weather for a given location.",
                    "parameters": {
                        "type": "object",
                        "properties": {"location": {"type": "string", "description": "City name"}},
                        "required": ["location"],
                    },
                }
            ]
        }
    ],
}


def main() -> None:
    """Print microseconds per request, and the cost of a video."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=5000, help="requests per round")
    parser.add_argument("--video-mib", type=int, default=100)
    arguments = parser.parse_args()
    print("case                 accept µs   json.dumps µs   ratio")
    for name, request in _cases():
        accepting = _microseconds(lambda request=request: accept(**request), arguments.number)
        dumping = _microseconds(lambda request=request: json.dumps(request), arguments.number)
        print(f"{name:20} {accepting:9.1f} {dumping:15.1f} {accepting / dumping:7.1f}")
    _video(arguments.video_mib)


def _cases() -> list[tuple[str, dict[str, Any]]]:
    long = {"messages": [{"role": "user", "content": "Grüße aus Köln. " * 512}]}
    return [
        ("plain string", {"messages": "Write a short tagline for an AI video tool."}),
        ("the guide's first", TAGLINE),
        ("function round trip", WEATHER),
        ("8 Ki characters", long),
    ]


def _microseconds(call: Callable[[], object], number: int) -> float:
    rounds = timeit.repeat(call, number=number, repeat=5)
    return statistics.median(rounds) / number * 1e6


def _video(mebibytes: int) -> None:
    head = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"
    text = base64.b64encode(head + bytes(mebibytes * MIB - len(head))).decode()
    decoding = timeit.timeit(lambda: base64.b64decode(text), number=1)

    def staging() -> None:
        stage(text, kind="video", mime_type="video/mp4").close()

    seconds = timeit.timeit(staging, number=1)
    tracemalloc.start()
    staging()
    peak = tracemalloc.get_traced_memory()[1] / MIB
    print(
        f"video of {mebibytes} MiB as base64: staged in {seconds:.2f} s "
        f"(b64decode alone {decoding:.2f} s), at most {peak:.1f} MiB beside the text"
    )


if __name__ == "__main__":
    main()
