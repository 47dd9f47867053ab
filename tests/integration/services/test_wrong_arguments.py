"""What is passed by mistake: each error says what to pass instead, and nothing is saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from creatify_textgen import services
from creatify_textgen.exceptions import RequestError
from creatify_textgen.models import Generation

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    "verb",
    [
        services.refresh,
        services.wait,
        services.cancel,
        services.stop,
        services.delete,
        services.retry,
        services.attach,
        async_to_sync(services.aattach),
        async_to_sync(services.arefresh),
    ],
)
@pytest.mark.parametrize("value", ["id", None, 3, {"id": 3}], ids=repr)
def test_what_is_no_generation(verb: Callable[[Any], Any], value: Any) -> None:
    with pytest.raises(RequestError, match=r"Generation\.objects\.get"):
        verb(value)


@pytest.mark.parametrize(
    "messages",
    [
        " ",
        "\n\t ",
        [{"role": "user", "content": " "}],
        [{"role": "user", "content": [{"type": "text", "text": " "}]}],
    ],
    ids=repr,
)
def test_a_prompt_of_spaces(messages: Any) -> None:
    with pytest.raises(RequestError, match="not only spaces"):
        services.submit(messages)
    assert not Generation.objects.exists()


def test_an_empty_answer_in_a_history_is_none() -> None:
    history = [{"role": "user", "content": "Hi"}, {"role": "model", "content": ""}]
    again: list[dict[str, Any]] = [*history, {"role": "user", "content": "Hello?"}]
    assert services.submit(again).content.messages == again


@pytest.mark.parametrize(
    ("requests", "errors"),
    [
        (["a"], {"requests[0]": "Must be a mapping of the arguments of submit"}),
        ([None], {"requests[0]": "Must be a mapping"}),
        ([{}], {"requests[0].messages": "Is required."}),
        (
            [{"messages": "Hi"}, {"prompt": "Hi"}],
            {"requests[1].prompt": "use messages", "requests[1].messages": "Is required."},
        ),
        ([{"messages": "Hi", "modle_name": "x"}], {"requests[0].modle_name": "did you mean"}),
        ([{"messages": " "}], {"requests[0].messages": "not only spaces"}),
    ],
)
def test_of_many(requests: Any, errors: dict[str, str]) -> None:
    with pytest.raises(RequestError) as refused:
        services.submit_many(requests)
    found = refused.value.errors
    assert set(found) == set(errors)
    assert all(words in found[path][0] for path, words in errors.items())
    assert not Generation.objects.exists()
