"""What a reader of a run reads of it, again and again while the run goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from creatify_textgen import chat, clock
from creatify_textgen.chat import Run
from creatify_textgen.chat.progress import read_progress
from creatify_textgen.testing import Answer, Stub

pytestmark = pytest.mark.django_db

CITIES = ["Rome", "Oslo", "Lima"]


def get_weather(city: str) -> str:
    """Return the weather of a city."""
    return f"Clear in {city}"


@pytest.fixture
def run(creatify_stub: Stub) -> Run:
    """Return a run with three steps that call a function, as it was before it ended."""
    calls = [{"name": "get_weather", "args": {"city": city}} for city in CITIES]
    creatify_stub.answer([*(Answer(function_calls=[call]) for call in calls), "Clear."])
    chat.run("Weather?", tools=[get_weather])
    Run.objects.update(state="running", due_at=clock.now())
    return Run.objects.get()


def test_has_the_results_of_one_step(run: Run) -> None:
    generations = read_progress(run.pk, calls_of=None).generations
    for generation_id, city in zip(generations[:-1], CITIES, strict=True):
        [call] = read_progress(run.pk, calls_of=generation_id).calls
        assert call.response == {"result": f"Clear in {city}"}


def test_reads_no_more_of_a_run_that_goes_on(
    run: Run, django_assert_num_queries: Callable[[int], Any]
) -> None:
    last = read_progress(run.pk, calls_of=None).generations[-1]
    with django_assert_num_queries(3):
        assert read_progress(run.pk, calls_of=last).calls == []
