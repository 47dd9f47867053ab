"""Every row of the table of wrong requests, through `read_body` and `accept`."""

from __future__ import annotations

from typing import Any

import pytest

from creatify_textgen.exceptions import RequestError
from creatify_textgen.intake import accept, read_body
from tests.bad_requests import BAD_REQUESTS, PNG_TEXT, PROMPT, BadRequest


def take(body: Any) -> None:
    fields = read_body(body)
    fields.pop("sync", None)
    accept(**fields)


def refusal_of(body: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        take(body)
    return caught.value


class TestTable:
    @pytest.mark.parametrize("wrong", BAD_REQUESTS, ids=lambda wrong: wrong.id)
    def test_names_the_field_and_the_rule(self, wrong: BadRequest) -> None:
        error = refusal_of(wrong.body)
        assert list(error.errors) == [wrong.field]
        assert wrong.rule in error.errors[wrong.field][0]
        assert error.code == "invalid_request"

    @pytest.mark.parametrize("wrong", BAD_REQUESTS, ids=lambda wrong: wrong.id)
    def test_tells_it_in_one_short_message_without_content(self, wrong: BadRequest) -> None:
        error = refusal_of(wrong.body)
        reported = f"{error} {error.errors}"
        assert wrong.field in str(error)
        assert PROMPT not in reported
        assert PNG_TEXT[8:24] not in reported
        assert len(str(error)) < 500
        reported.encode()

    def test_has_an_id_of_its_own_for_each(self) -> None:
        identifiers = [wrong.id for wrong in BAD_REQUESTS]
        assert len(set(identifiers)) == len(identifiers) >= 80
