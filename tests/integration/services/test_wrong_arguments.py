"""What is passed by mistake: each error says what to pass instead, and nothing is saved."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, cast

import pytest
from asgiref.sync import async_to_sync
from django.utils.translation import gettext_lazy

from creatify_textgen import chat, services
from creatify_textgen.chat import Conversation, Run, ToolCall
from creatify_textgen.exceptions import RequestError
from creatify_textgen.models import Generation, Media

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
    assert all(path in str(refused.value) for path in errors)
    assert not Generation.objects.exists()


NOT_SAVED = "never saved"


@pytest.mark.parametrize(
    "call",
    [
        lambda: services.refresh(Generation()),
        lambda: services.delete(Generation()),
        lambda: services.retry(Generation()),
        lambda: services.settle(Generation(), decision="charged"),
        lambda: services.open_media(Media()),
        lambda: chat.approve(ToolCall()),
        lambda: chat.reject(ToolCall()),
        lambda: chat.stop_run(Run()),
        lambda: chat.resume(Run()),
        lambda: chat.run("Hi", tools=[], conversation=Conversation()),
        lambda: Conversation().say("Hi"),
    ],
)
def test_a_row_that_was_never_saved(call: Callable[[], object]) -> None:
    with pytest.raises(RequestError, match=NOT_SAVED):
        call()
    assert not Generation.objects.exists()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: services.settle(cast("Any", "id"), decision="charged"), "Generation.objects.get"),
        (lambda: services.open_media(cast("Any", "id")), "Media.objects.get"),
        (lambda: chat.approve(cast("Any", None)), "ToolCall.objects.get"),
        (lambda: chat.stop_run(cast("Any", "id")), "Run.objects.get"),
        (lambda: chat.resume(cast("Any", 5)), "Run.objects.get"),
        (
            lambda: chat.run("Hi", tools=[], conversation=cast("Any", "id")),
            "Conversation.objects.get",
        ),
        (lambda: services.credits(owner="ann"), "owner: Must be a saved User"),
        (lambda: services.reconcile(since=cast("Any", date(2026, 1, 1))), "since: Must be a datet"),
        (lambda: services.store_media(b"", mime_type=cast("Any", 5)), "mime_type: Must be a str"),
        (lambda: services.submit(cast("Any", gettext_lazy("Hi"))), r"write str\(\) around it"),
        (lambda: services.submit("Hi", tools=cast("Any", [print])), r"tools\[0\]: Is a function"),
    ],
)
def test_something_else(call: Callable[[], object], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        call()
    assert not Generation.objects.exists()


@pytest.mark.parametrize(
    "timeout", ["5", True, timedelta(seconds=5), float("nan"), Decimal("nan"), 10**400, -(10**400)]
)
def test_no_number_of_seconds(timeout: Any) -> None:
    with pytest.raises(RequestError, match="timeout: Must be a number of seconds"):
        services.generate("Hi", timeout=timeout)
    assert not Generation.objects.exists()


def test_an_argument_that_no_request_has() -> None:
    with pytest.raises(TypeError, match="timeout: Unknown field; known are account, config"):
        services.submit("Hi", timeout=5)  # type: ignore[call-arg]
    assert not Generation.objects.exists()


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("temperature", "temperature: Unknown field; put it into config"),
        (
            "model_name",
            "model_name: Unknown field; the conversation has it; see Conv",
        ),
        ("metadat", "did you mean metadata?"),
    ],
)
@pytest.mark.parametrize("verb", ["say", "ask", "stream"])
def test_an_argument_that_no_turn_has(verb: str, option: str, words: str) -> None:
    with pytest.raises(TypeError, match=re.escape(words)):
        getattr(Conversation.start(), verb)("Hi", **{option: 1})
    assert not Generation.objects.exists()


def test_a_generation_that_was_deleted() -> None:
    gone = services.submit("Hi")
    Generation.objects.all().delete()
    with pytest.raises(Generation.DoesNotExist):
        services.delete(gone)


@pytest.mark.parametrize(
    "change",
    [
        lambda gone: gone.say("Hi"),
        lambda gone: gone.rename("Rome"),
        lambda gone: gone.fork(),
    ],
)
def test_a_conversation_that_was_deleted(change: Callable[[Conversation], object]) -> None:
    gone = Conversation.start()
    Conversation.objects.all().delete()
    with pytest.raises(Conversation.DoesNotExist):
        change(gone)
    assert not Generation.objects.exists()
    assert not Conversation.objects.exists()
