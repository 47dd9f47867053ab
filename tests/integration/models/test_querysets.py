"""The QuerySet of generations, beyond what the doors try of it."""

from __future__ import annotations

import pytest

from creatify_textgen.models import Generation
from tests.factories import make_generation


@pytest.mark.django_db
class TestWithMetadata:
    # A number with more digits than a float, and brackets that are too deep for the parser.
    @pytest.mark.parametrize("text", ["9" * 400, "[" * 100_000], ids=["large", "deep"])
    def test_finds_a_text_that_is_no_number(self, text: str) -> None:
        row = make_generation(metadata={"order": text})
        make_generation(metadata={"order": 9})
        assert [*Generation.objects.all().with_metadata({"order": text})] == [row]
