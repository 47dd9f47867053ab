"""Credits look the same on every database and in every form."""

from __future__ import annotations

import copy
import json
import pickle
from decimal import Decimal

import pytest
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Sum

from creatify_textgen.models import Generation
from creatify_textgen.states import Status
from tests.factories import make_generation

pytestmark = pytest.mark.django_db

AMOUNTS = [
    ("0", "0"),
    ("0.00026818", "0.00026818"),
    ("0.0000000001", "0.0000000001"),
    ("5E-7", "0.0000005"),
    ("100", "100"),
    ("12.5000000000", "12.5"),
]


@pytest.mark.parametrize(("written", "text"), AMOUNTS)
def test_is_plain_in_every_form(written: str, text: str) -> None:
    make_generation(status=Status.DONE, credits_used=Decimal(written))
    used = Generation.objects.get().credits_used
    assert used is not None
    assert (str(used), f"{used}", f"{used} credits", format(used)) == (
        text,
        text,
        f"{text} credits",
        text,
    )
    assert json.dumps({"used": used}, cls=DjangoJSONEncoder) == f'{{"used": "{text}"}}'
    assert used == Decimal(written)
    assert f"{used:.2f}" == f"{Decimal(written):.2f}"
    assert str(pickle.loads(pickle.dumps(used))) == str(copy.deepcopy(used)) == text


def test_sums_and_saves_as_any_decimal() -> None:
    for _ in range(2):
        make_generation(status=Status.DONE, credits_used=Decimal("0.1"))
    row = Generation.objects.first()
    assert row is not None
    row.save()
    Generation.objects.filter(pk=row.pk).update(credits_used=row.credits_used)
    assert Generation.objects.filter(credits_used=row.credits_used).count() == 2
    total = Generation.objects.aggregate(total=Sum("credits_used"))["total"]
    assert str(total) == "0.2"


def test_that_is_unknown_is_none() -> None:
    assert make_generation().reloaded().credits_used is None
