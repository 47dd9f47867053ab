"""Runs: the model and a host's functions in turns, through the app's own rows and the stub."""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db import connections, transaction
from django.db.backends.base.operations import BaseDatabaseOperations

from creatify_textgen import chat, clock, enqueue, lifecycle, services
from creatify_textgen.chat import Run, Step, ToolCall
from creatify_textgen.chat.loop import Claim
from creatify_textgen.exceptions import PolicyRefusal, RequestError, TransitionError
from creatify_textgen.models import Generation
from creatify_textgen.remote.value_count import MOST_MARKS
from creatify_textgen.signals import approval_needed, run_finished
from creatify_textgen.streams.pump import _Pump
from creatify_textgen.testing import Answer, Stub

pytestmark = pytest.mark.django_db

log: list[str] = []


def get_weather(city: str) -> str:
    """Return the weather of a city."""
    log.append(city)
    return f"Clear in {city}"


def get_owner() -> str:
    """Return the name of the user."""
    owner = chat.current_run().owner
    return owner.get_username() if owner else ""


@chat.tool(needs_approval=True)
def sign_for_owner() -> str:
    """Sign in the name of the user."""
    return get_owner()


async def get_owner_id() -> str:
    """Return the id of the user."""
    return str(chat.current_run().owner_id)


async def get_time(city: str) -> dict[str, Any]:
    """Return the time in a city."""
    log.append(city)
    return {"hour": 12}


def fail(reason: str) -> str:
    """Fail for a reason."""
    log.append(reason)
    raise ValueError(reason)


@chat.tool(needs_approval=True)
def send_mail(to: str) -> str:
    """Send a mail."""
    log.append(to)
    return "sent"


@chat.tool(idempotent=True)
def read_page(number: int) -> str:
    """Read a page."""
    log.append(str(number))
    return "…"


def return_much(size: int) -> str:
    """Return very much."""
    return "x" * size


def return_odd(kind: str) -> Any:
    """Return what no request can contain."""
    deep: list[Any] = []
    for _ in range(30):
        deep = [deep]
    odd = {"set": {1}, "bytes": b"\xff", "object": object(), "number": 2**70, "depth": deep}
    return odd[kind]


def give_up() -> str:
    """Stop the run that calls this."""
    chat.stop_run(chat.current_run())
    return "private"


def call(name: str, identifier: str = "", **args: Any) -> dict[str, Any]:
    return {"name": name, "args": args, **({"id": identifier} if identifier else {})}


def asks(*calls: dict[str, Any], text: str = "") -> Answer:
    return Answer(text, function_calls=calls)


PARIS = call("get_weather", "1", city="Paris") | {"thought_signature": "s1"}
ROME = call("get_weather", "2", city="Rome")
MAIL = call("send_mail", to="ann")
FUNCTIONS: list[Callable[..., Any]] = [get_weather, get_time, fail, send_mail, read_page]


TAKE_OVER: list[Callable[[Run], object]] = [
    lambda _: chat.sweep_runs(),
    lambda _: chat.sweep_runs(here=True),
    lambda run: chat.go_on(run.pk),
]


@pytest.fixture(autouse=True)
def _empty_log() -> None:
    log.clear()


def die(*_: Any, **__: Any) -> None:
    """End this process, as far as the app knows."""
    raise SystemExit


def responses(stub: Stub, at: int = -1) -> list[Any]:
    """Return what the model received of its last calls."""
    messages = stub.asked[at].messages
    found = [m["function_response"] for m in messages if "function_response" in m]
    return [response["response"] for response in found]


def errors_of(stub: Stub) -> list[str]:
    return [response["error"] for response in responses(stub)]


class TestOddCall:
    def test_can_be_as_many_as_an_answer_may_have(self) -> None:
        position = ToolCall._meta.get_field("position").get_internal_type()
        # SQLite has no limits; those of Django's base are of every other database.
        assert BaseDatabaseOperations.integer_field_ranges[position][1] >= MOST_MARKS

    def test_with_a_very_long_name_fails_the_run(self, creatify_stub: Stub) -> None:
        creatify_stub.answer([asks(call("a" * 200))])
        run = chat.run("Weather?", tools=[get_weather])
        assert (run.state, run.error_code) == ("failed", "invalid_request")
        assert [each.name for each in run.calls] == ["a" * 128]


class TestCurrentRun:
    @pytest.fixture
    def owner(self) -> User:
        return User.objects.create_user("owner")

    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("function", [get_owner, get_owner_id])
    def test_names_the_owner_to_a_function(
        self, creatify_stub: Stub, owner: User, function: Callable[..., Any], *, stream: bool
    ) -> None:
        creatify_stub.answer([asks(call(function.__name__)), "Done."])
        run = chat.run("Who am I?", tools=[function], owner=owner, stream=stream)
        expected = owner.get_username() if function is get_owner else str(owner.pk)
        assert responses(creatify_stub) == [{"result": expected}]
        assert run.state == "done"

    def test_is_there_after_submit_run(self, creatify_stub: Stub, owner: User) -> None:
        creatify_stub.answer([asks(call("get_owner")), "Done."])
        chat.submit_run("Who am I?", tools=[get_owner], owner=owner)
        assert responses(creatify_stub) == [{"result": owner.get_username()}]

    def test_is_there_after_an_approval(self, creatify_stub: Stub, owner: User) -> None:
        creatify_stub.answer([asks(call("sign_for_owner")), "Done."])
        chat.run("Sign.", tools=[sign_for_owner], owner=owner)
        chat.approve(ToolCall.objects.get(), by=User.objects.create_user("other"))
        assert responses(creatify_stub) == [{"result": owner.get_username()}]

    def test_is_none_elsewhere(self) -> None:
        with pytest.raises(RuntimeError, match="no run calls this"):
            chat.current_run()


class TestRun:
    def test_answers_calls_until_there_is_an_answer(self, creatify_stub: Stub) -> None:
        creatify_stub.answer([asks(PARIS, ROME, text="Hm."), asks(PARIS), "Clear in both."])
        run = chat.run("Weather in Paris and Rome?", tools=[get_weather])
        assert (run.state, run.text) == ("done", "Clear in both.")
        assert log == ["Paris", "Rome", "Paris"]
        assert run.steps.count() == 3
        assert run.credits_used == Decimal("0.0015")
        first, text, *calls = creatify_stub.asked[1].messages
        assert (first["role"], text["content"]) == ("user", "Hm.")
        assert calls == [
            {"role": "model", "function_call": PARIS},
            {"role": "model", "function_call": ROME},
            {
                "role": "user",
                "function_response": {
                    "name": "get_weather",
                    "response": {"result": "Clear in Paris"},
                    "id": "1",
                },
            },
            {
                "role": "user",
                "function_response": {
                    "name": "get_weather",
                    "response": {"result": "Clear in Rome"},
                    "id": "2",
                },
            },
        ]

    def test_sends_the_same_settings_with_each_step(self, creatify_stub: Stub) -> None:
        creatify_stub.answer([asks(PARIS), "Clear."])
        owner = User.objects.create_user("owner")
        run = chat.run(
            "Weather?",
            tools=[get_weather],
            owner=owner,
            model_name="gemini-9",
            system_instruction="Be brief.",
            config={"temperature": 1.0},
            metadata={"order": 3},
        )
        for asked in creatify_stub.asked:
            assert asked.model_name == "gemini-9"
            assert asked.system_instruction == "Be brief."
            assert asked.config == {"temperature": 1.0}
            assert asked.tools[0]["function_declarations"][0]["name"] == "get_weather"
        assert set(Generation.objects.values_list("owner", flat=True)) == {owner.pk}
        assert (run.owner, run.metadata) == (owner, {"order": 3})
        assert {row.metadata["order"] for row in Generation.objects.all()} == {3}

    def test_calls_async_functions(self, creatify_stub: Stub) -> None:
        creatify_stub.answer([asks(call("get_time", city="Rome")), "Noon."])
        chat.run("What time is it?", tools=FUNCTIONS)
        assert responses(creatify_stub) == [{"hour": 12}]

    def test_keeps_texts_in_generations_alone(self, creatify_stub: Stub) -> None:
        creatify_stub.answer([asks(PARIS), "Clear."])
        run = chat.run("Weather?", tools=[get_weather])
        [made] = run.calls
        assert (made.response, made.args) == (None, {"city": "Paris"})
        Generation.objects.all().delete()
        assert not ToolCall.objects.exists()

    def test_returns_a_checked_object(self, creatify_stub: Stub) -> None:
        creatify_stub.answer([asks(PARIS), {"sky": "clear"}])
        schema = {"type": "object", "properties": {"sky": {"type": "string"}}}
        run = chat.run("Weather?", tools=[get_weather], schema=schema)
        assert run.generation.parsed() == {"sky": "clear"}

    def test_needs_no_tools(self, creatify_stub: Stub) -> None:
        assert chat.run("Hello", tools=[]).text == "An answer of the stub."

    def test_of_a_coroutine(self, creatify_stub: Stub) -> None:
        creatify_stub.answer([asks(PARIS), "Clear."])
        run = async_to_sync(chat.arun)("Weather?", tools=[get_weather])
        assert run.state == "done"


class TestErrors:
    @pytest.mark.parametrize(
        ("asked", "error"),
        [
            (call("fail", reason="no power"), "ValueError: no power"),
            (call("get_weather"), "RequestError: city: Missing required argument"),
            (call("get_weather", city="Rome", day=1), "RequestError: day: Unexpected keyword"),
            (call("read_page", number="many"), "RequestError: number: Input should be a valid int"),
            (call("unknown_function"), "No such function."),
        ],
    )
    def test_go_back_to_the_model(
        self, creatify_stub: Stub, asked: dict[str, Any], error: str
    ) -> None:
        creatify_stub.answer([asks(asked), "Sorry."])
        run = chat.run("Go", tools=FUNCTIONS)
        assert run.text == "Sorry."
        [text] = errors_of(creatify_stub)
        assert text.startswith(error)
        assert [made.state for made in run.calls] == ["failed"]

    def test_convert_what_can_be_converted(self, creatify_stub: Stub) -> None:
        creatify_stub.answer([asks(call("read_page", number="3")), "Read."])
        chat.run("Go", tools=FUNCTIONS)
        assert log == ["3"]

    @pytest.mark.parametrize(
        "asked",
        [
            call("return_much", size=300_000),
            call("return_odd", kind="bytes"),
            call("return_odd", kind="object"),
            call("return_odd", kind="number"),
            call("return_odd", kind="depth"),
        ],
        ids=["much", "bytes", "object", "number", "depth"],
    )
    def test_of_results_that_cannot_be_sent(
        self, creatify_stub: Stub, asked: dict[str, Any]
    ) -> None:
        creatify_stub.answer([asks(asked), "Sorry."])
        run = chat.run("Go", tools=[return_much, return_odd])
        assert run.state == "done"
        assert len(errors_of(creatify_stub)) == 1

    @pytest.mark.parametrize("fault", ["failed", "invalid_request", "insufficient_credits"])
    def test_of_the_remote_end_the_run(self, creatify_stub: Stub, fault: str) -> None:
        creatify_stub.fail(fault)
        run = chat.run("Weather?", tools=[get_weather])
        assert run.state == "failed"
        assert run.error_code == run.generation.error_code
        assert run.text == ""

    @pytest.mark.parametrize(
        ("options", "field"),
        [
            ({"tools": "get_weather"}, "tools"),
            ({"tools": [{"name": "get_weather"}]}, "tools"),
            ({"tools": [get_weather, get_weather]}, "tools"),
            ({"tools": [lambda x: x]}, "tools"),
            ({"limit": 0}, "limit"),
            ({"limit": True}, "limit"),
            ({"max_credits": 0.5}, "max_credits"),
            ({"max_credits": Decimal("NaN")}, "max_credits"),
            ({"max_credits": Decimal("1e10")}, "max_credits"),
            ({"owner": 3}, "owner"),
        ],
    )
    def test_of_the_caller_save_nothing(
        self, creatify_stub: Stub, options: dict[str, Any], field: str
    ) -> None:
        with pytest.raises(RequestError) as caught:
            chat.run("Weather?", **{"tools": [get_weather], **options})
        assert set(caught.value.errors) == {field}
        assert not Run.objects.exists()
        creatify_stub.assert_not_asked()


class TestLimits:
    def test_of_steps(self, creatify_stub: Stub) -> None:
        creatify_stub.answer(asks(PARIS))
        run = chat.run("Weather?", tools=[get_weather], limit=3)
        assert (run.state, run.error_code) == ("failed", "limit_reached")
        assert len(creatify_stub.asked) == 3
        # What nobody would read is not called.
        assert len(log) == 2

    def test_of_credits(self, creatify_stub: Stub) -> None:
        creatify_stub.answer(asks(PARIS))
        run = chat.run("Weather?", tools=[get_weather], max_credits=Decimal("0.001"))
        assert (run.state, run.error_code) == ("failed", "credits_reached")
        assert len(creatify_stub.asked) == 2

    def test_of_the_site_at_the_beginning(self, creatify_stub: Stub, settings: Any) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "LIMITS": {"models": []}}
        owner = User.objects.create_user("owner")
        with pytest.raises(PolicyRefusal):
            chat.run("Weather?", tools=[get_weather], owner=owner)
        assert not Run.objects.exists()

    @pytest.mark.parametrize("code", ["no_more", "no_more" * 10])
    def test_of_the_site_in_between(self, creatify_stub: Stub, settings: Any, code: str) -> None:
        def rule(user: Any, request: Any, *, door: str) -> None:
            if len(request.messages) > 1:
                raise PolicyRefusal("No more.", code=code)

        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "POLICY": rule}
        creatify_stub.answer([asks(PARIS)])
        run = chat.run("Weather?", tools=[get_weather])
        assert (run.state, run.error_code) == ("failed", code[:40])

    def test_of_the_moment_is_waited_for(
        self, creatify_stub: Stub, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        refusals = [PolicyRefusal("Later.", status=429, retry_after=30)]

        def rule(user: Any, request: Any, *, door: str) -> None:
            if len(request.messages) > 1 and refusals:
                raise refusals.pop()

        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "POLICY": rule}
        creatify_stub.answer([asks(PARIS), "Clear."])
        delays: list[float] = []
        with monkeypatch.context() as noted:
            noted.setattr(enqueue, "run", lambda _, **how: delays.append(how["delay_seconds"]))
            run = chat.run("Weather?", tools=[get_weather])
        assert (run.state, delays) == ("running", [30])
        let_the_sweep_come()
        run.refresh_from_db()
        assert (run.state, log) == ("done", ["Paris"])


class TestTask:
    def test_runs_in_a_worker(self, creatify_stub: Stub) -> None:
        creatify_stub.answer([asks(PARIS), "Clear."])
        run = chat.submit_run("Weather?", tools=[get_weather])
        run.refresh_from_db()
        assert (run.state, run.text) == ("done", "Clear.")

    def test_needs_functions_that_a_worker_finds(self, creatify_stub: Stub) -> None:
        def inner(city: str) -> str:
            """Return the weather of a city."""
            return city

        with pytest.raises(RequestError, match="which a worker can import: inner"):
            chat.submit_run("Weather?", tools=[inner])
        creatify_stub.answer([asks(call("inner", city="Rome")), "Done."])
        assert chat.run("Weather?", tools=[inner]).state == "done"

    def test_whose_message_is_lost_is_found_by_the_sweep(
        self, creatify_stub: Stub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as lost:
            lost.setattr(enqueue, "run", lambda _, **__: None)
            run = chat.submit_run("Weather?", tools=[get_weather])
        assert chat.sweep_runs() == 0
        let_the_sweep_come()
        run.refresh_from_db()
        assert run.state == "done"

    @pytest.mark.parametrize("here", [True, False])
    def test_is_swept_in_either_way(
        self, creatify_stub: Stub, monkeypatch: pytest.MonkeyPatch, here: bool
    ) -> None:
        with monkeypatch.context() as lost:
            lost.setattr(enqueue, "run", lambda _, **__: None)
            run = chat.submit_run("Weather?", tools=[get_weather])
        let_the_sweep_come(here=here)
        run.refresh_from_db()
        assert run.state == "done"


class TestSweep:
    def test_goes_on_with_the_others_if_a_run_fails(
        self, creatify_stub: Stub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def find(path: str) -> Any:
            if path.endswith("read_page"):
                raise SyntaxError("A module of the host cannot be imported.")
            return get_weather

        creatify_stub.answer(["Clear.", "Clear."])
        with monkeypatch.context() as lost:
            lost.setattr(enqueue, "run", lambda _, **__: None)
            broken, whole = (
                chat.submit_run("Weather?", tools=[tool]) for tool in (read_page, get_weather)
            )
        monkeypatch.setattr("creatify_textgen.chat.toolbox._find", find)
        let_the_sweep_come(here=True)
        for run in (broken, whole):
            run.refresh_from_db()
        assert (broken.state, whole.state) == ("running", "done")
        assert broken.due_at is not None
        assert broken.due_at > clock.now()


class TestApproval:
    @pytest.fixture
    def waiting(self, creatify_stub: Stub) -> Run:
        creatify_stub.answer([asks(MAIL, PARIS), "Sent."])
        return chat.run("Mail Ann the weather.", tools=FUNCTIONS)

    def test_is_waited_for(self, waiting: Run) -> None:
        assert waiting.state == "waiting"
        assert log == ["Paris"]
        assert [made.state for made in waiting.calls] == ["waiting", "done"]
        assert waiting.calls[0].args == {"to": "ann"}
        assert waiting.due_at is None

    def test_lets_the_run_go_on(self, waiting: Run, creatify_stub: Stub) -> None:
        person = User.objects.create_user("person")
        chat.approve(waiting.calls[0], by=person)
        waiting.refresh_from_db()
        assert (waiting.state, log) == ("done", ["Paris", "ann"])
        assert waiting.calls[0].decided_by == person
        assert responses(creatify_stub) == [{"result": "sent"}, {"result": "Clear in Paris"}]

    def test_may_be_refused(self, waiting: Run, creatify_stub: Stub) -> None:
        chat.reject(waiting.calls[0], reason="Not Ann.")
        waiting.refresh_from_db()
        assert (waiting.state, log) == ("done", ["Paris"])
        assert responses(creatify_stub)[0] == {"error": "A person refused this call. Not Ann."}

    @pytest.mark.parametrize("again", [chat.approve, chat.reject])
    def test_is_given_once(self, waiting: Run, again: Callable[..., Any]) -> None:
        made = waiting.calls[0]
        chat.approve(made)
        with pytest.raises(TransitionError) as caught:
            again(made)
        assert caught.value.code == "not_waiting"
        assert log == ["Paris", "ann"]

    def test_of_one_call_waits_for_the_other(self, creatify_stub: Stub) -> None:
        creatify_stub.answer([asks(MAIL, call("send_mail", to="bob")), "Sent."])
        run = chat.run("Mail both.", tools=FUNCTIONS)
        first, second = run.calls
        chat.approve(second)
        run.refresh_from_db()
        assert (run.state, log) == ("waiting", ["bob"])
        chat.approve(first)
        run.refresh_from_db()
        assert (run.state, log) == ("done", ["bob", "ann"])

    def test_of_a_stopped_run_does_nothing(self, waiting: Run) -> None:
        chat.stop_run(waiting)
        with pytest.raises(TransitionError):
            chat.approve(waiting.calls[0])
        assert log == ["Paris"]

    def test_while_the_run_goes_to_wait(
        self, creatify_stub: Stub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Let a person be faster than the UPDATE that has the run wait."""
        wait = Claim._wait_for_approval

        def late(self: Claim, step: Step) -> None:
            for made in ToolCall.objects.filter(step=step, state="waiting"):
                chat.approve(made)
            wait(self, step)

        monkeypatch.setattr(Claim, "_wait_for_approval", late)
        creatify_stub.answer([asks(MAIL), "Sent."])
        run = chat.run("Mail Ann.", tools=FUNCTIONS)
        assert (run.state, log) == ("done", ["ann"])

    def test_is_kept_if_the_process_of_the_run_dies_after_it(
        self, creatify_stub: Stub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wait = Claim._wait_for_approval
        creatify_stub.answer([asks(MAIL), "Sent."])

        def late(self: Claim, step: Step) -> None:
            chat.approve(ToolCall.objects.get(step=step))
            wait(self, step)

        with monkeypatch.context() as dying:
            dying.setattr(Claim, "_wait_for_approval", late)
            dying.setattr("creatify_textgen.chat.loop.wake", die)
            with pytest.raises(SystemExit):
                chat.run("Mail Ann.", tools=FUNCTIONS)
        let_the_sweep_come()
        assert (Run.objects.get().state, log) == ("done", ["ann"])

    def test_can_be_given_again_if_its_process_dies(
        self, waiting: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as dying:
            dying.setattr("creatify_textgen.chat.open_runs.wake", die)
            with pytest.raises(SystemExit):
                chat.approve(waiting.calls[0])
        chat.approve(waiting.calls[0])
        waiting.refresh_from_db()
        assert (waiting.state, log) == ("done", ["Paris", "ann"])


class TestStop:
    def test_ends_before_the_next_call(self, creatify_stub: Stub) -> None:
        def stop(now: bool) -> str:
            """Stop this run."""
            chat.stop_run(Run.objects.get())
            return "stopped"

        creatify_stub.answer([asks(call("stop", now=True), PARIS), "Unread."])
        run = chat.run("Stop", tools=[stop, get_weather])
        assert (run.state, log) == ("stopped", [])
        creatify_stub.assert_asked(times=1)
        with pytest.raises(TransitionError, match="has ended"):
            chat.stop_run(run)

    def test_during_a_call_keeps_no_response(self, creatify_stub: Stub) -> None:
        creatify_stub.answer([asks(call("give_up"))])
        run = chat.run("Go", tools=[give_up])
        assert (run.state, [each.response for each in run.calls]) == ("stopped", [None])


class TestDeath:
    """A process dies; what it left is made by hand, and the kill table makes it for real."""

    def die_in(self, stub: Stub, name: str, monkeypatch: pytest.MonkeyPatch, **args: Any) -> Run:
        def die(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        stub.answer([asks(call(name, **args)), "Done."])
        with monkeypatch.context() as dying:
            dying.setattr("creatify_textgen.chat.toolbox.call_checked", die)
            with pytest.raises(KeyboardInterrupt):
                chat.run("Go", tools=FUNCTIONS)
        return Run.objects.get()

    def test_in_a_call_is_reported_to_the_model(
        self, creatify_stub: Stub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = self.die_in(creatify_stub, "get_weather", monkeypatch, city="Rome")
        let_the_sweep_come()
        assert log == []
        assert [made.state for made in run.calls] == ["lost"]
        assert "Nobody knows" in errors_of(creatify_stub)[0]
        run.refresh_from_db()
        assert run.state == "done"

    def test_in_an_idempotent_call_repeats_it(
        self, creatify_stub: Stub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = self.die_in(creatify_stub, "read_page", monkeypatch, number=1)
        let_the_sweep_come()
        assert log == ["1"]
        run.refresh_from_db()
        assert run.state == "done"

    def test_of_a_claim_only_seems_so(self, creatify_stub: Stub) -> None:
        """Let a slow process come back after another has taken its run over and ended it."""

        def be_slow(city: str) -> str:
            """Take long."""
            let_the_sweep_come(here=True)
            return "late"

        creatify_stub.answer([asks(call("be_slow", city="Rome")), "Done.", "Twice?"])
        run = chat.run("Go", tools=[be_slow])
        assert run.state == "done"
        assert [made.state for made in run.calls] == ["lost"]
        creatify_stub.assert_asked(times=2)

    @pytest.mark.parametrize("take_over", TAKE_OVER, ids=["sweep", "sweep here", "worker"])
    def test_of_a_claim_is_none_while_its_step_is_streamed(
        self,
        creatify_stub: Stub,
        monkeypatch: pytest.MonkeyPatch,
        take_over: Callable[[Run], object],
    ) -> None:
        """Let each stream take longer than the claim; no other process has the function."""
        pump = _Pump.run

        def be_slow(self: _Pump) -> None:
            Run.objects.update(due_at=clock.now())
            take_over(Run.objects.get())
            pump(self)

        def inner(city: str) -> str:
            """Return the weather of a city."""
            return f"Clear in {city}"

        monkeypatch.setattr(_Pump, "run", be_slow)
        creatify_stub.answer([asks(call("inner", city="Rome")), "Clear."])
        run = chat.run("Weather?", tools=[inner], stream=True)
        assert (run.state, [made.state for made in run.calls]) == ("done", ["done"])
        creatify_stub.assert_asked(times=2)

    @pytest.mark.django_db(transaction=True)
    def test_of_nobody_lets_one_process_work(self, creatify_stub: Stub) -> None:
        creatify_stub.answer([asks(MAIL), "Sent."])
        run = chat.run("Mail Ann.", tools=FUNCTIONS)
        ToolCall.objects.update(state="ready")
        Run.objects.update(state="running", due_at=clock.now())
        barrier = threading.Barrier(4)

        def work() -> None:
            barrier.wait()
            try:
                chat.go_on(run.pk)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert log == ["ann"]
        assert Step.objects.count() == 2


class TestSignals:
    def test_report_the_end_and_what_is_waited_for(self, creatify_stub: Stub) -> None:
        seen: list[tuple[str, str]] = []

        def note(run: Run, signal: Any, **_: Any) -> None:
            seen.append(("end" if signal is run_finished else "wait", run.state))

        creatify_stub.answer([asks(MAIL), "Sent."])
        for signal in (run_finished, approval_needed):
            signal.connect(note)
        try:
            run = chat.run("Mail Ann.", tools=FUNCTIONS)
            chat.approve(run.calls[0])
        finally:
            for signal in (run_finished, approval_needed):
                signal.disconnect(note)
        assert seen == [("wait", "waiting"), ("end", "done")]


class TestTransactions:
    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("verb", ["run", "resume"])
    def test_are_refused_by_what_waits(self, creatify_stub: Stub, verb: str) -> None:
        run = chat.run("Hello", tools=[])
        begin = partial(chat.run, "Hello", tools=[])
        wait: Any = begin if verb == "run" else partial(chat.resume, run)
        with transaction.atomic(), pytest.raises(RuntimeError, match=rf"{verb}\(\)"):
            wait()

    @pytest.mark.django_db(transaction=True)
    def test_may_hold_a_submission(self, creatify_stub: Stub) -> None:
        with transaction.atomic():
            run = chat.submit_run("Hello", tools=[get_weather])
            transaction.set_rollback(True)
        assert not Run.objects.filter(pk=run.pk).exists()


def let_the_sweep_come(*, here: bool = False) -> None:
    """Let claims run out, and sweep."""
    Run.objects.filter(state="running").update(due_at=clock.now())
    services.sweep()
    chat.sweep_runs(here=here)


class TestErasure:
    def test_of_a_person_deletes_runs_and_conversations(self, creatify_stub: Stub) -> None:
        creatify_stub.answer([asks(MAIL, PARIS), "Hello."])
        ann, bob = (User.objects.create_user(name) for name in ("ann", "bob"))
        chat.run("Mail Ann.", tools=FUNCTIONS, owner=ann)
        chat.Conversation.start(owner=ann, title="Mine").say("Hello")
        kept = chat.Conversation.start(owner=bob)
        services.erase(ann, dry_run=True)
        assert Run.objects.exists()
        services.erase(ann)
        assert not Run.objects.exists()
        assert not ToolCall.objects.exists()
        assert list(chat.Conversation.objects.all()) == [kept]
        assert Generation.objects.filter(owner=ann).count() == 2

    def test_of_a_content_ends_a_run(self, creatify_stub: Stub) -> None:
        creatify_stub.answer([asks(MAIL), "Sent."])
        run = chat.run("Mail Ann.", tools=FUNCTIONS)
        made = run.calls[0]
        services.prune(older_than_days=1)
        lifecycle.remove_contents([run.generation.pk], now=clock.now(), detail="for a test")
        chat.approve(made)
        run.refresh_from_db()
        assert (run.state, run.error_code, log) == ("failed", "content_removed", [])
        assert run.text == ""

    def test_leaves_no_result_on_a_run_that_has_ended(self, creatify_stub: Stub) -> None:
        creatify_stub.answer([asks(MAIL, PARIS)])
        run = chat.run("Mail Ann.", tools=FUNCTIONS)
        assert run.calls[1].response == {"result": "Clear in Paris"}
        chat.stop_run(run)
        assert run.calls[1].response is None


class TestUnstoredContent:
    def test_is_refused_before_anything_is_sent(self, creatify_stub: Stub, settings: Any) -> None:
        conversation = chat.Conversation.start()
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "STORE_CONTENT": False}
        verbs: list[Callable[[], Any]] = [
            chat.Conversation.start,
            partial(conversation.say, "Hello"),
            partial(chat.run, "Hello", tools=[]),
            partial(chat.submit_run, "Hello", tools=[]),
        ]
        for verb in verbs:
            with pytest.raises(RequestError) as caught:
                verb()
            assert caught.value.code == "content_not_stored"
        creatify_stub.assert_not_asked()
