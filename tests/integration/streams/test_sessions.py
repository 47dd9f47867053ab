"""Sessions: how one begins, and what it makes of frames and of chunks that the pump has parsed."""

from __future__ import annotations

import json

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from creatify_textgen import enqueue, services
from creatify_textgen.models import Generation
from creatify_textgen.remote import Chunk, parse_chunk
from creatify_textgen.states import Mode, Status
from creatify_textgen.streams.hub import END, chunk_frame, get_hub, word_frame
from creatify_textgen.streams.transcript import Transcript, transcripts_here
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
    transcript = transcripts_here()[row.pk] = Transcript()
    transcript.recent = {}
    get_hub().publish(str(row.pk), [transcript.add(chunk("one ")), transcript.add(chunk("two"))])
    session = services.attach(row)
    assert [received.text for received in session] == ["one ", "two", ""]
    assert session.error_code == ""


@pytest.mark.parametrize("raw", ["upstream exploded", '"boom"', "[]", "null", ""])
def test_passes_over_a_frame_that_is_no_chunk(raw: str) -> None:
    row = make_generation(status=Status.RUNNING, mode=Mode.STREAM)
    first = Transcript().add(chunk("one "))
    odd = chunk_frame(first.end, first.end._replace(number=2), raw)
    end = word_frame(odd.end, END, {"status": "done"})
    get_hub().publish(str(row.pk), [first, odd, end])
    session = services.attach(row)
    assert [received.text for received in session] == ["one "]
    assert session.position == end.end


def test_ends_where_its_generation_has_expired() -> None:
    row = make_generation(status=Status.EXPIRED, mode=Mode.ASYNC)
    session = services.attach(row)
    assert list(session) == []
    assert (session.generation.status, session.error_code) == ("expired", "expired")


class TestBeginning:
    @pytest.fixture(autouse=True)
    def _no_pump(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(enqueue, "stream", lambda generation_id: None)

    def test_is_refused_in_a_transaction(self) -> None:
        with transaction.atomic(), pytest.raises(RuntimeError, match="outside of atomic"):
            services.begin_stream("Hello")
        assert not Generation.objects.exists()

    @pytest.mark.django_db
    def test_works_in_the_transaction_of_a_test_case_but_in_none_within(self) -> None:
        assert transaction.get_connection().in_atomic_block
        assert services.begin_stream("Hello", idempotency_key="k").pk
        with transaction.atomic(), pytest.raises(RuntimeError, match="outside of atomic"):
            services.begin_stream("Hello")

    @pytest.mark.django_db
    def test_says_at_once_that_a_test_case_hides_it_from_the_pump(self) -> None:
        with pytest.raises(RuntimeError, match="creatify_stub"):
            services.stream("Hello")

    def test_reads_nothing_in_the_transaction_in_which_it_writes(self) -> None:
        """What was read before would hold a lock or a snapshot while another request writes."""
        with CaptureQueriesContext(connection) as asked:
            services.begin_stream("Hello", idempotency_key="k")
        verbs = [query["sql"].lstrip("(").split()[0] for query in asked.captured_queries]
        begun = verbs.index("BEGIN")
        assert verbs[begun:] == ["BEGIN", "INSERT", "INSERT", "COMMIT"]
        # The key, then a pause and the budgets together.
        assert verbs[:begun] == ["SELECT"] * 2
