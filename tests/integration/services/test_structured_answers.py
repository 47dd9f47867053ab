"""A type goes out as a schema, and the row's answer comes back as its value."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from pydantic import BaseModel

from creatify_textgen import services
from creatify_textgen.emulator import Emulator
from creatify_textgen.exceptions import AnswerError, RequestError
from creatify_textgen.models import Generation
from creatify_textgen.testing import Answer, Stub
from tests.factories import make_generation

pytestmark = pytest.mark.django_db


class Tagline(BaseModel):
    text: str


def answered(text: str, **fields: Any) -> Generation:
    return make_generation(status="done", content={"response_text": text}, **fields)


class TestSchema:
    def test_is_on_the_row_as_the_remote_gets_it(self) -> None:
        content = services.submit("Hello", schema=Tagline, config={"seed": 1}).content
        assert content.config["response_mime_type"] == "application/json"
        assert content.config["response_json_schema"]["required"] == ["text"]
        assert content.config["seed"] == 1

    def test_goes_with_each_of_many(self) -> None:
        schemas: list[Any] = [Tagline, {"type": "string"}, None]
        rows = services.submit_many([{"messages": "Hello", "schema": s} for s in schemas])
        assert ["response_json_schema" in row.content.config for row in rows] == [True, True, False]

    @pytest.mark.django_db(transaction=True)
    def test_reaches_the_remote(self, remote: Emulator) -> None:
        generation = services.generate("Hello", schema=Tagline)
        with services.stream("Hello", schema=Tagline) as stream:
            list(stream)
        sent = [row.request["config"]["response_json_schema"] for row in remote.generations]
        assert sent == [generation.content.config["response_json_schema"]] * 2

    def test_that_gemini_does_not_read_saves_nothing(self) -> None:
        with pytest.raises(RequestError) as caught:
            services.submit("Hello", schema={"type": "string", "pattern": "a"})
        assert list(caught.value.errors) == ["schema.pattern"]
        assert not Generation.objects.exists()


class TestParsed:
    def test_is_the_value(self) -> None:
        assert answered('{"text": "Fast."}').parsed(Tagline).text == "Fast."
        assert answered('{"text": "Fast."}').parsed() == {"text": "Fast."}

    @pytest.mark.parametrize(
        "fields", [{"finish_reason": "MAX_TOKENS"}, {"partial": True}], ids=["capped", "partial"]
    )
    def test_of_a_cut_answer_is_refused_though_it_reads(self, fields: dict[str, Any]) -> None:
        with pytest.raises(AnswerError) as caught:
            answered("12", **fields).parsed(int)
        assert caught.value.code == "truncated"

    @pytest.mark.parametrize(
        ("status", "code"),
        [("running", "not_finished"), ("expired", "not_finished"), ("failed", "not_done")],
    )
    def test_needs_an_answer(self, status: str, code: str) -> None:
        with pytest.raises(AnswerError) as caught:
            make_generation(status=status).parsed(Tagline)
        assert caught.value.code == code

    def test_names_its_generation(self) -> None:
        generation = answered("Fast.")
        with pytest.raises(AnswerError, match=str(generation.pk)):
            generation.parsed(Tagline)


class TestPartials:
    ANSWER = '{"text": "Fast and good."}'

    def test_grow_to_the_whole_answer(self, creatify_stub: Stub) -> None:
        creatify_stub.answer(self.ANSWER)
        with services.stream("Hello", schema=Tagline) as stream:
            partials = list(stream.partials(Tagline))
        assert [one.text for one in partials] == ["Fast ", "Fast and ", "Fast and good."]
        assert partials[-1] == stream.generation.parsed(Tagline)

    def test_are_plain_json_without_a_type(self, creatify_stub: Stub) -> None:
        creatify_stub.answer(self.ANSWER)
        with services.stream("Hello") as stream:
            assert list(stream.partials())[-1] == {"text": "Fast and good."}

    @pytest.mark.parametrize(
        ("answer", "code"),
        [
            ("Sorry, no.", "invalid_json"),
            ('{"text": 7}', "schema_mismatch"),
            (Answer('{"text": "Fast and good."}', fault="truncated"), "truncated"),
        ],
    )
    def test_end_with_the_error_of_parsed(
        self, creatify_stub: Stub, answer: Any, code: str
    ) -> None:
        creatify_stub.answer(answer)
        with services.stream("Hello") as stream, pytest.raises(AnswerError) as caught:
            list(stream.partials(Tagline))
        assert caught.value.code == code

    @pytest.mark.django_db(transaction=True)
    def test_come_to_coroutines(self, creatify_stub: Stub) -> None:
        creatify_stub.answer(self.ANSWER)

        async def read() -> list[Tagline]:
            async with await services.astream("Hello", schema=Tagline) as stream:
                return [one async for one in stream.partials(Tagline)]

        partials = async_to_sync(read)()
        assert [one.text for one in partials] == ["Fast ", "Fast and ", "Fast and good."]
