"""A second row with one remote id, and other refusals that must not be taken for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from creatify_textgen import lifecycle
from creatify_textgen.exceptions import TransitionError
from creatify_textgen.lifecycle import Outcome
from creatify_textgen.models import Generation
from creatify_textgen.states import Cause, Status
from tests.factories import NOW, make_generation

pytestmark = pytest.mark.django_db


def keep(row: Generation, *, due_at: Any = NOW) -> None:
    lifecycle.keep_remote_id(row, "r1", due_at=due_at)


def move(row: Generation) -> None:
    lifecycle.mark_done(row.pk, cause=Cause.POLL, now=NOW, outcome=Outcome(remote_id="r1"))


def checkpoint(row: Generation, *, due_at: Any = NOW) -> None:
    lifecycle.save_checkpoints({row.pk: Outcome(remote_id="r1")}, now=NOW, due_at=due_at)


def complete(row: Generation) -> None:
    Generation.objects.filter(pk=row.pk).update(status=Status.FAILED)
    reported = Outcome(remote_id="r1")
    lifecycle.complete_failed(row.pk, reported, cause=Cause.STREAM, now=NOW, detail="")


@pytest.mark.parametrize("write", [keep, move, checkpoint, complete])
def test_of_another_row_is_refused_in_one_way(write: Callable[[Generation], None]) -> None:
    make_generation(status=Status.PENDING, remote_id="r1")
    row = make_generation(status=Status.UNCONFIRMED)
    with pytest.raises(TransitionError) as caught:
        write(row)
    assert caught.value.code == "remote_id_taken"


@pytest.mark.parametrize("write", [keep, checkpoint])
def test_is_not_what_another_constraint_refuses(write: Callable[..., None]) -> None:
    row = make_generation(status=Status.UNCONFIRMED)
    with pytest.raises(IntegrityError), transaction.atomic():
        write(row, due_at=None)  # an open row without a time
