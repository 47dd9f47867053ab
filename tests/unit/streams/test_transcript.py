"""What a transcript keeps of a stream is limited, whatever a hostile remote sends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from creatify_textgen.remote import parse_chunk
from creatify_textgen.streams import transcript
from creatify_textgen.streams.transcript import RECENT, Transcript


def chunk(text: str = "x", **fields: Any) -> Any:
    candidate = {"content": {"parts": [{"text": text}]}, **fields}
    return parse_chunk(json.dumps({"candidates": [candidate]}))


class TestRecent:
    def test_are_the_last_chunks(self) -> None:
        kept = Transcript()
        kept.recent = {}
        for _ in range(RECENT + 10):
            kept.add(chunk())
        assert list(kept.recent) == list(range(11, RECENT + 11))

    def test_are_few_if_they_are_large(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(transcript, "RECENT_CHARACTERS", 1000)
        kept = Transcript()
        kept.recent = {}
        for _ in range(10):
            kept.add(chunk("x" * 300))
        assert list(kept.recent) == [9, 10]
        kept.add(chunk("x" * 2000))
        assert kept.recent == {}
        kept.add(chunk())
        assert list(kept.recent) == [12]


class TestCitations:
    def test_are_kept_up_to_a_size(self, monkeypatch: pytest.MonkeyPatch) -> None:
        cited = {"citationMetadata": {"citations": [{"uri": "https://example.com/a"}]}}
        size = len(chunk(**cited).raw)
        monkeypatch.setattr(transcript, "MOST_CITED_CHARACTERS", 2 * size)
        kept = Transcript()
        for _ in range(5):
            kept.add(chunk())
            kept.add(chunk("a citation in a text"))
            kept.add(chunk(**cited))
        outcome = kept.outcome(error_code="", partial=False)
        assert len(outcome.citations or []) == 2
        assert len(outcome.response_text or "") == 5 * (2 + len("a citation in a text"))
