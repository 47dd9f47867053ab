"""The moves into the queue and out of it, when two processes make them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from creatify_textgen import lifecycle
from creatify_textgen.models import Generation
from creatify_textgen.states import Cause, Status
from tests.factories import NOW, make_generation

pytestmark = pytest.mark.django_db

SOON = NOW + timedelta(seconds=5)


class TestNumberOfTheSend:
    def test_a_late_refusal_cannot_undo_a_later_send(self) -> None:
        generation = make_generation(status=Status.SUBMITTING, attempts=2)
        won = lifecycle.mark_queued(
            generation.pk, cause=Cause.SUBMIT, now=NOW, retry_at=SOON, detail="", attempt=1
        )
        assert not won

    def test_only_one_of_two_takes_the_lease(self) -> None:
        first = make_generation()
        second = Generation.objects.get(pk=first.pk)
        assert lifecycle.mark_submitting(first, now=NOW, lease_seconds=50)
        assert not lifecycle.mark_submitting(second, now=NOW, lease_seconds=50)
        assert (first.attempts, second.attempts) == (1, 0)
