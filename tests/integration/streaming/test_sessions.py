"""A session in the pump's own process, which uses the chunks that the pump has parsed."""

from __future__ import annotations

import json

import pytest

from creatify_textgen import services
from creatify_textgen.hub import get_hub
from creatify_textgen.remote import Chunk, parse_chunk
from creatify_textgen.services.streaming.transcript import Transcript, transcripts_here
from creatify_textgen.states import Mode, Status
from tests.factories import make_generation

pytestmark = pytest.mark.django_db(transaction=True)


def chunk(text: str) -> Chunk:
    return parse_chunk(json.dumps({"candidates": [{"content": {"parts": [{"text": text}]}}]}))


def test_hears_the_last_words_once_where_the_row_ends_before_the_frames_do() -> None:
    """The pump writes the end on the row first, so a reader may find all frames but the last."""
    row = make_generation(
        status=Status.DONE,
        mode=Mode.STREAM,
        remote_id="r1",
        content={"response_text": "one two"},
    )
    transcript = transcripts_here[row.pk] = Transcript()
    transcript.recent = {}
    get_hub().publish(str(row.pk), [transcript.add(chunk("one ")), transcript.add(chunk("two"))])
    session = services.attach(row)
    assert [heard.text for heard in session] == ["one ", "two", ""]
    assert session.error_code == ""
