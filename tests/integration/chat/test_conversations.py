"""Conversations: turn by turn, through the app's own rows and the stub's answers."""

from __future__ import annotations

import base64
import threading
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db import connections, transaction

from creatify_textgen import clock, lifecycle, services
from creatify_textgen.chat import Conversation, Turn
from creatify_textgen.exceptions import PolicyRefusal, RequestError, TransitionError
from creatify_textgen.models import Generation, Media
from creatify_textgen.testing import Answer, Stub
from tests.bad_requests import PNG
from tests.factories import make_generation

CALL = {"name": "get_weather", "args": {"city": "Paris"}, "id": "c1", "thought_signature": "s1"}
RESPONSE = {
    "role": "user",
    "function_response": {"name": "get_weather", "response": {"sky": "clear"}, "id": "c1"},
}

pytestmark = pytest.mark.django_db


def get_weather(city: str) -> str:
    """Return the weather of a city."""
    return f"Clear in {city}"


def user_says(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def model_says(text: str) -> dict[str, Any]:
    return {"role": "model", "content": text}


@pytest.fixture
def owner() -> User:
    return User.objects.create_user("owner")


@pytest.fixture
def conversation(owner: User) -> Conversation:
    return Conversation.start(owner=owner, system_instruction="Be brief.")


class TestStart:
    def test_keeps_what_each_turn_is_sent_with(self, owner: User, creatify_stub: Stub) -> None:
        conversation = Conversation.start(
            owner=owner,
            title="Weather",
            system_instruction="Be brief.",
            model_name="gemini-9",
            config={"temperature": 1.0},
            tools=[get_weather],
        )
        conversation.say("Hello")
        [asked] = creatify_stub.asked
        assert asked.model_name == "gemini-9"
        assert asked.system_instruction == "Be brief."
        assert asked.config == {"temperature": 1.0}
        [tool] = asked.tools
        assert tool["function_declarations"][0]["name"] == "get_weather"

    def test_names_all_that_is_wrong_and_saves_nothing(self) -> None:
        with pytest.raises(RequestError) as caught:
            Conversation.start(
                owner="me",
                title=3,  # type: ignore[arg-type]
                config={"temperature": "hot"},
                window_messages=0,
                window_tokens=True,
            )
        assert set(caught.value.errors) == {
            "owner",
            "title",
            "config.temperature",
            "window_messages",
            "window_tokens",
        }
        assert not Conversation.objects.exists()

    def test_refuses_a_title_too_long(self) -> None:
        with pytest.raises(RequestError, match="at most 200 characters"):
            Conversation.start(title="x" * 201)


class TestSay:
    def test_sends_the_past_with_each_message(
        self, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        creatify_stub.answer(["Hello Ann.", "Ann."])
        conversation.say("I am Ann.")
        conversation.say("Who am I?")
        assert list(creatify_stub.asked[1].messages) == [
            user_says("I am Ann."),
            model_says("Hello Ann."),
            user_says("Who am I?"),
        ]
        assert conversation.history() == [*creatify_stub.asked[1].messages, model_says("Ann.")]

    def test_belongs_to_the_owner(
        self, conversation: Conversation, owner: User, creatify_stub: Stub
    ) -> None:
        assert conversation.say("Hello").owner == owner

    def test_saves_nothing_if_the_site_refuses(
        self, conversation: Conversation, creatify_stub: Stub, settings: Any
    ) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "LIMITS": {"models": []}}
        with pytest.raises(PolicyRefusal):
            conversation.say("Hello")
        assert not Turn.objects.exists()
        creatify_stub.assert_not_asked()

    @pytest.mark.parametrize("fault", ["failed", "invalid_request"])
    def test_leaves_failed_turns_out(
        self, conversation: Conversation, creatify_stub: Stub, fault: str
    ) -> None:
        conversation.say("One")
        creatify_stub.fail(fault)
        conversation.say("Two")
        conversation.say("Three")
        texts = [message["content"] for message in creatify_stub.asked[2].messages]
        assert texts == ["One", "An answer of the stub.", "Three"]
        assert [turn.number for turn in conversation.turns.all()] == [1, 2, 3]

    def test_leaves_an_empty_answer_out(
        self, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        creatify_stub.answer(["", "Yes."])
        conversation.say("One")
        conversation.say("Two")
        assert list(creatify_stub.asked[1].messages) == [user_says("Two")]

    def test_takes_options_for_one_turn(
        self, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        conversation.say("One", config={"temperature": 0.0}, metadata={"order": 3})
        conversation.say("Two")
        assert [asked.config for asked in creatify_stub.asked] == [{"temperature": 0.0}, {}]
        assert Generation.objects.get(metadata={"order": 3})

    @pytest.mark.parametrize("content", [3, None, {"type": "text"}, ["Hello"]])
    def test_refuses_what_is_no_message(self, conversation: Conversation, content: Any) -> None:
        with pytest.raises(RequestError) as caught:
            conversation.say(content)
        assert set(caught.value.errors) == {"content"}

    def test_names_the_part_that_is_wrong(
        self, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        conversation.say("One")
        with pytest.raises(RequestError) as caught:
            conversation.say([{"type": "text", "text": 3}])
        assert set(caught.value.errors) == {"content[0].text"}
        with pytest.raises(RequestError) as caught:
            conversation.say([user_says("Hm"), {"role": "owl", "content": "Hu"}])
        assert set(caught.value.errors) == {"content[1].role"}


class TestFunctionCalls:
    def test_are_given_back_with_their_opaque_fields(
        self, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        creatify_stub.answer([Answer("Let me see.", function_calls=[CALL, CALL]), "Clear."])
        conversation.say("Paris?")
        conversation.say([RESPONSE, RESPONSE])
        assert list(creatify_stub.asked[1].messages) == [
            user_says("Paris?"),
            model_says("Let me see."),
            {"role": "model", "function_call": CALL},
            {"role": "model", "function_call": CALL},
            RESPONSE,
            RESPONSE,
        ]

    def test_that_nobody_answered_are_left_out(
        self, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        creatify_stub.answer([Answer("Let me see.", function_calls=[CALL]), "Well.", "Bye."])
        conversation.say("Paris?")
        conversation.say("Never mind.")
        conversation.say("Bye.")
        texts = [message.get("content") for message in creatify_stub.asked[2].messages]
        assert texts == ["Paris?", "Let me see.", "Never mind.", "Well.", "Bye."]

    @pytest.mark.parametrize("responses", [1, 3])
    def test_are_answered_all_or_not_at_all(
        self, conversation: Conversation, creatify_stub: Stub, responses: int
    ) -> None:
        creatify_stub.answer([Answer(function_calls=[CALL, CALL])])
        conversation.say("Paris?")
        with pytest.raises(RequestError, match="for each of the 2 calls"):
            conversation.say([RESPONSE] * responses)

    def test_need_a_call(self, conversation: Conversation, creatify_stub: Stub) -> None:
        conversation.say("Paris?")
        with pytest.raises(RequestError, match="the answer before called no function"):
            conversation.say([RESPONSE])

    def test_an_empty_message_is_not_paid_for(
        self, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        with pytest.raises(RequestError, match="content: Must not be empty"):
            conversation.say("")
        creatify_stub.assert_not_asked()

    def test_refuses_more_messages_than_a_turn_can_count(
        self, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        with pytest.raises(RequestError, match="at most 32767 messages"):
            conversation.say([user_says("a")] * 32_768)
        assert conversation.last_turn is None


class TestMedia:
    IMAGE = {"type": "image", "mime_type": "image/png", "data": base64.b64encode(PNG).decode()}

    def test_are_stored_once_and_sent_again(
        self, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        conversation.say([self.IMAGE, {"type": "text", "text": "What is it?"}])
        conversation.say("And now?")
        assert Media.objects.count() == 1
        sent = [asked.messages[0]["content"][0]["data"] for asked in creatify_stub.asked]
        assert "media" in conversation.history()[0]["content"][0]
        assert len(set(map(str, sent))) == 1

    def test_that_are_gone_leave_a_word(
        self, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        conversation.say([self.IMAGE, {"type": "text", "text": "What is it?"}])
        Media.objects.all().delete()
        conversation.say("And now?")
        first = creatify_stub.asked[1].messages[0]["content"][0]
        assert first == {"type": "text", "text": "[an image that is no longer stored]"}


class TestWindow:
    @pytest.mark.parametrize(
        ("window", "expected"),
        [
            ({"window_messages": 2}, ["Three", "3" * 40, "Four"]),
            ({"window_messages": 3}, ["Three", "3" * 40, "Four"]),
            ({"window_messages": 1}, ["Three", "3" * 40, "Four"]),
            ({"window_tokens": 30}, ["Two", "2" * 40, "Three", "3" * 40, "Four"]),
        ],
    )
    def test_sends_the_latest_exchanges(
        self, creatify_stub: Stub, window: dict[str, int], expected: list[str]
    ) -> None:
        creatify_stub.answer(["1" * 40, "2" * 40, "3" * 40, "4"])
        conversation = Conversation.start(**window)  # type: ignore[arg-type]
        for text in ("One", "Two", "Three", "Four"):
            conversation.say(text)
        assert [message["content"] for message in creatify_stub.asked[3].messages] == expected
        assert len(conversation.history()) == 8


class TestTwoAtOnce:
    def test_the_second_is_refused_until_the_first_has_ended(
        self, conversation: Conversation
    ) -> None:
        first = conversation.say("One")
        with pytest.raises(TransitionError) as caught:
            conversation.say("Two")
        assert caught.value.code == "conversation_busy"
        assert Generation.objects.count() == 1
        services.cancel(first)
        conversation.say("Two")
        assert conversation.turns.count() == 2

    def test_an_expired_one_is_not_waited_for(self, conversation: Conversation) -> None:
        expired = make_generation(status="expired")
        Turn.objects.create(conversation=conversation, number=1, generation=expired)
        conversation.say("Two")

    def test_a_key_stands_for_its_turn(
        self, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        first = conversation.say("One", idempotency_key="a")
        conversation.say("Two")
        assert conversation.say("One", idempotency_key="a") == first
        assert len(creatify_stub.asked) == 2
        with pytest.raises(RequestError) as caught:
            conversation.say("Three", idempotency_key="a")
        assert caught.value.code == "idempotency_conflict"

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("key", [None, "same"])
    def test_of_many_one_wins(self, conversation: Conversation, key: str | None) -> None:
        outcomes: list[str] = []
        barrier = threading.Barrier(4)

        def say() -> None:
            barrier.wait()
            try:
                conversation_here = Conversation.objects.get(pk=conversation.pk)
                outcomes.append(str(conversation_here.say("One", idempotency_key=key).pk))
            except TransitionError as error:
                outcomes.append(error.code)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=say) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        [generation] = Generation.objects.all()
        assert len(outcomes) == 4
        expected = {str(generation.pk)} if key else {str(generation.pk), "conversation_busy"}
        assert set(outcomes) == expected
        assert Turn.objects.count() == 1


class TestAsk:
    def test_returns_the_answer(self, conversation: Conversation, creatify_stub: Stub) -> None:
        creatify_stub.answer("Yes.")
        assert conversation.ask("Really?").content.response_text == "Yes."
        assert conversation.history() == [user_says("Really?"), model_says("Yes.")]

    @pytest.mark.django_db(transaction=True)
    def test_refuses_a_transaction(self, conversation: Conversation) -> None:
        with transaction.atomic(), pytest.raises(RuntimeError, match=r"ask\(\)"):
            conversation.ask("Really?")


class TestStream:
    def test_yields_chunks(self, conversation: Conversation, creatify_stub: Stub) -> None:
        creatify_stub.answer("Once upon a time.")
        with conversation.stream("A tale") as stream:
            assert "".join(chunk.text for chunk in stream) == "Once upon a time."
        conversation.say("Go on")
        assert creatify_stub.asked[1].messages[1] == model_says("Once upon a time.")


class TestFork:
    def test_goes_on_apart(self, conversation: Conversation, creatify_stub: Stub) -> None:
        for text in ("One", "Two", "Three"):
            conversation.say(text)
        fork = conversation.fork(at=2)
        fork.say("Another")
        assert [m["content"] for m in creatify_stub.asked[3].messages][::2] == [
            "One",
            "Two",
            "Another",
        ]
        assert len(conversation.history()) == 6
        assert (fork.forked_from, fork.forked_at) == (conversation, 2)
        conversation.delete()
        assert len(Conversation.objects.get(pk=fork.pk).history()) == 6

    def test_of_a_busy_one_does_not_wait(self, conversation: Conversation) -> None:
        conversation.say("One")
        fork = conversation.fork()
        assert fork.say("Another").status == "queued"
        with pytest.raises(RequestError, match="that has ended"):
            conversation.fork(at=1)

    @pytest.mark.parametrize("at", [0, 2, -1])
    def test_refuses_a_turn_that_is_not_there(
        self, conversation: Conversation, creatify_stub: Stub, at: int
    ) -> None:
        conversation.say("One")
        with pytest.raises(RequestError) as caught:
            conversation.fork(at=at)
        assert set(caught.value.errors) == {"at"}

    def test_goes_on_after_the_conversation_was_erased(
        self, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        conversation.ask("First")
        fork = conversation.fork()
        conversation.erase()
        fork.rename("Mine")
        fork.ask("Second")
        assert fork.turns.count() == 2
        assert Conversation.objects.get() == fork


class TestOwner:
    def test_takes_the_conversation_away(self, conversation: Conversation, owner: User) -> None:
        owner.delete()
        assert not Conversation.objects.exists()


class TestTwins:
    def test_do_the_same(self, creatify_stub: Stub) -> None:
        async def talk() -> list[Any]:
            conversation = await Conversation.astart()
            await conversation.asay("One")
            await conversation.aask("Two")
            async with await conversation.astream("Three") as stream:
                async for _ in stream:
                    pass
            fork = await conversation.afork(at=3)
            return await fork.ahistory()

        assert len(async_to_sync(talk)()) == 6


class TestRemovedContent:
    def test_leaves_an_empty_turn_and_a_shorter_past(
        self, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        first = conversation.say("One")
        conversation.say("Two")
        lifecycle.remove_contents([first.pk], now=clock.now(), detail="for a test")
        assert [message["content"] for message in conversation.history()][::2] == ["Two"]
        turn = conversation.turns.get(number=1)
        assert (turn.added, turn.answer) == ([], [])

    def test_of_the_last_turn_falls_back_on_the_one_before(
        self, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        conversation.say("One")
        second = conversation.say("Two")
        lifecycle.remove_contents([second.pk], now=clock.now(), detail="for a test")
        conversation.say("Three")
        texts = [message["content"] for message in creatify_stub.asked[2].messages]
        assert texts[::2] == ["One", "Three"]
