"""`manage.py textgen_generate`, against the emulator: output, cost, exit codes."""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from creatify_textgen import services
from creatify_textgen.emulator import Emulator
from creatify_textgen.management.commands import textgen_generate
from creatify_textgen.management.commands.textgen_generate import Command
from creatify_textgen.models import Generation
from creatify_textgen.states import Mode, Status
from creatify_textgen.streams import GenerationStream, begin
from tests.architecture.source import ROOT
from tests.faults.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

SAMPLES = ROOT / "example_project" / "demo" / "samples"


class Screen(StringIO):
    """A terminal that remembers what it showed at each flush."""

    def __init__(self, *, is_terminal: bool = False) -> None:
        super().__init__()
        self.is_terminal = is_terminal
        self.shown: list[str] = []

    def isatty(self) -> bool:
        return self.is_terminal

    def flush(self) -> None:
        self.shown.append(self.getvalue())


@dataclass
class Outcome:
    code: int
    out: str
    error: str


def generate(*arguments: str, screen: Screen | None = None) -> Outcome:
    out, error = screen or Screen(), StringIO()
    code = 0
    try:
        call_command("textgen_generate", *arguments, stdout=out, stderr=error)
    except SystemExit as leaving:
        code = int(str(leaving.code))
    return Outcome(code, out.getvalue(), error.getvalue())


class TestGenerate:
    def test_prints_the_answer_and_on_stderr_what_it_cost(self, remote: Emulator) -> None:
        outcome = generate("Hello there")
        generation = Generation.objects.get()
        assert outcome.code == 0
        assert 'You wrote 2 words: "Hello there".' in outcome.out
        cost = f"{generation.credits_used.normalize():f}" if generation.credits_used else ""
        assert (
            outcome.error == f"done | gemini-3-flash-preview | {cost} credits | {generation.pk}\n"
        )

    def test_passes_on_what_is_asked_for(self, remote: Emulator) -> None:
        generate(
            "Hi", "--model", "gemini-2.5-pro", "--system", "Be brief", "--config", '{"seed": 7}'
        )
        sent = remote.requests[-1].body
        assert sent["model_name"] == "gemini-2.5-pro"
        assert sent["system_instruction"] == "Be brief"
        assert sent["config"] == {"seed": 7}

    def test_reads_the_prompt_from_standard_input(
        self, remote: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "stdin", StringIO("Hello from a pipe"))
        assert "Hello from a pipe" in generate().out

    def test_shows_images_and_videos_to_the_model(self, remote: Emulator) -> None:
        outcome = generate(
            "What is it?",
            "--image", str(SAMPLES / "picture.png"),
            "--video", str(SAMPLES / "clip.mp4"),
        )  # fmt: skip
        assert "image/png" in outcome.out
        assert "video/mp4" in outcome.out

    def test_gives_json_as_a_schema_asks(self, remote: Emulator, tmp_path: Path) -> None:
        schema = tmp_path / "schema.json"
        schema.write_text(
            '{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}'
        )
        assert isinstance(json.loads(generate("Count", "--json", str(schema)).out)["n"], int)

    def test_fails_with_the_remotes_reason(self, remote: Emulator) -> None:
        remote.switches.set(final_state="failed", failed_reason="Overloaded.")
        outcome = generate("Hello")
        assert outcome.code == 1
        assert "Overloaded. (remote_failed)" in outcome.error

    def test_tells_each_wrong_field_and_saves_nothing(self, remote: Emulator) -> None:
        outcome = generate("Hello", "--config", '{"temperature": 9, "tempo": 1}')
        assert outcome.code == 1
        assert "config.temperature:" in outcome.error
        assert "config.tempo:" in outcome.error
        assert not Generation.objects.exists()

    def test_says_how_to_wait_where_the_answer_is_late(
        self, remote: Emulator, settings: Any
    ) -> None:
        remote.switches.set(sync_answer="pending", stuck=True)
        settings.CREATIFY_TEXTGEN["TIMEOUTS"] = {"sync": 0.5}
        outcome = generate("Hello")
        assert outcome.code == 3
        assert f"--attach {Generation.objects.get().pk}" in outcome.error


class TestStream:
    def test_prints_the_same_text_and_the_cost(self, remote: Emulator) -> None:
        outcome = generate("Hello there", "--stream")
        generation = Generation.objects.select_related("content").get()
        assert (outcome.code, generation.mode) == (0, Mode.STREAM)
        assert outcome.out == f"{generation.content.response_text}\n"
        assert "credits" in outcome.error

    def test_writes_each_piece_as_it_comes(self, remote: Emulator) -> None:
        remote.switches.set(chunk_count=5)
        screen = Screen()
        generate("Hello there, tell me more", "--stream", screen=screen)
        assert len(set(screen.shown)) >= 5

    def test_fails_where_the_stream_broke_and_keeps_what_came(self, remote: Emulator) -> None:
        remote.switches.set(stream_fault="error_event")
        outcome = generate("Hello there", "--stream")
        assert outcome.code == 1
        assert outcome.out.strip()

    def test_leaves_the_generation_alone_on_ctrl_c(
        self, remote: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(self: GenerationStream) -> Any:
            wait_until(lambda: remote.counters["creates"] == 1)
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(GenerationStream, "__iter__", interrupt)
            outcome = generate("Hello", "--stream")
        generation = Generation.objects.get()
        assert outcome.code == 130
        assert f"textgen_generate --attach {generation.pk}" in outcome.error
        for _ in services.attach(generation):
            pass
        generation.refresh_from_db()
        assert generation.status == Status.DONE

    def test_names_the_generation_on_ctrl_c_before_the_first_word(
        self, remote: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However early: the row is there before its id is."""

        def begin_and_interrupt(*arguments: Any, **options: Any) -> Any:
            stream = begin(*arguments, **options)
            os.kill(os.getpid(), signal.SIGINT)
            return stream

        begin = services.stream
        monkeypatch.setattr(services, "stream", begin_and_interrupt)
        outcome = generate("Hello", "--stream")
        generation = Generation.objects.get()
        assert outcome.code == 130
        if generation.status == Status.CANCELLED:
            assert "Nothing was sent" in outcome.error
        else:
            assert f"textgen_generate --attach {generation.pk}" in outcome.error

    def test_sends_nothing_after_ctrl_c(
        self, remote: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The pump is a thread here, and ends with the process."""

        def interrupt(self: GenerationStream) -> Any:
            raise KeyboardInterrupt

        monkeypatch.setattr(begin.enqueue, "stream", lambda generation_id: None)
        monkeypatch.setattr(GenerationStream, "__iter__", interrupt)
        outcome = generate("Hello", "--stream")
        generation = Generation.objects.get()
        assert (outcome.code, generation.status) == (130, Status.CANCELLED)
        assert "Nothing was sent" in outcome.error
        assert "--attach" not in outcome.error
        assert remote.counters["creates"] == 0


class TestAttach:
    def test_prints_what_a_finished_generation_said(self, remote: Emulator) -> None:
        first = generate("Hello there", "--stream")
        again = generate("--attach", str(Generation.objects.get().pk))
        assert (again.code, again.out) == (0, first.out)

    def test_goes_on_from_a_position(self, remote: Emulator) -> None:
        whole = generate("Hello there", "--stream").out
        generation = Generation.objects.get()
        assert whole.endswith(generate("--attach", str(generation.pk), "--after", "1-9").out)

    @pytest.mark.parametrize("identifier", ["nonsense", "01a204ae-aa49-77ed-a4ff-9d4dfeba4b69"])
    def test_refuses_what_is_no_generation(self, identifier: str) -> None:
        with pytest.raises(CommandError, match="no generation"):
            generate("--attach", identifier)

    def test_refuses_what_is_no_position(self, remote: Emulator) -> None:
        generate("Hello there")
        outcome = generate("--attach", str(Generation.objects.get().pk), "--after", "later")
        assert outcome.code == 1
        assert "after:" in outcome.error

    def test_takes_nothing_back_that_another_process_began(
        self, remote: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(self: GenerationStream) -> Any:
            raise KeyboardInterrupt

        monkeypatch.setattr(begin.enqueue, "stream", lambda generation_id: None)
        generation = services.begin_stream("Hello")
        monkeypatch.setattr(GenerationStream, "__iter__", interrupt)
        outcome = generate("--attach", str(generation.pk))
        generation.refresh_from_db()
        assert (outcome.code, generation.status) == (130, Status.QUEUED)
        assert "The generation continues. Attach again" in outcome.error


class TestAsync:
    def test_prints_the_id_and_leaves_it_to_a_worker(self, remote: Emulator) -> None:
        outcome = generate("Hello", "--async")
        generation = Generation.objects.get()
        assert (outcome.code, outcome.out) == (0, f"{generation.pk}\n")
        assert generation.status == Status.QUEUED


class TestUsage:
    @pytest.mark.parametrize(
        "arguments",
        [
            ["Hi", "--stream", "--async"],
            ["Hi", "--config", "{"],
            ["Hi", "--config", "[]"],
            ["Hi", "--image", "/does/not/exist.png"],
            ["Hi", "--json", "/does/not/exist.json"],
            ["Hi", "--json", str(SAMPLES / "picture.png")],
            ["Hi", "--after", "1-9"],
        ],
        ids=["two-ways", "broken-json", "list", "no-image", "no-schema", "binary", "after-alone"],
    )
    def test_refuses_what_makes_no_sense(self, arguments: list[str]) -> None:
        with pytest.raises(CommandError):
            generate(*arguments)
        assert not Generation.objects.exists()

    def test_wants_a_prompt_at_a_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdin", Screen(is_terminal=True))
        with pytest.raises(CommandError, match="Give a prompt") as refusal:
            generate()
        assert refusal.value.returncode == 2

    @pytest.mark.parametrize("is_terminal", [True, False])
    @pytest.mark.parametrize("arguments", [[], ["--stream"]])
    def test_keeps_commands_for_the_terminal_from_the_terminal(
        self, remote: Emulator, arguments: list[str], is_terminal: bool
    ) -> None:
        prompt = "Say \x1b[2J\x9b please"
        outcome = generate(prompt, *arguments, screen=Screen(is_terminal=is_terminal))
        assert "\x1b" not in outcome.out + outcome.error
        assert "\x9b" not in outcome.out + outcome.error
        assert "please" in outcome.out

    def test_keeps_a_reason_of_the_remote_from_the_terminal(self, remote: Emulator) -> None:
        remote.switches.set(final_state="failed", failed_reason="No \x1b]0;title\x07 today")
        outcome = generate("Hello")
        assert outcome.code == 1
        assert "No \ufffd]0;title\ufffd today" in outcome.error


class TestPatience:
    @pytest.mark.parametrize("arguments", [[], ["--stream"]])
    def test_says_within_two_seconds_that_nobody_answers(
        self, settings: Any, arguments: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # By the clock it is one wait before the question, and one for the answer.
        assert 2 * textgen_generate.PATIENCE_SECONDS < 2
        timeouts = {"connect": 30, "sync": 5}
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "TIMEOUTS": timeouts}
        notes: list[str] = []
        note = Command._note

        def remember(self: Command, text: str) -> None:
            notes.append(text)
            note(self, text)

        monkeypatch.setattr(Command, "_note", remember)
        outcome = generate("Hello", *arguments)
        assert outcome.code != 0
        assert notes[0].startswith("Waiting for account 'default': The remote cannot be reached")

    def test_says_nothing_of_a_remote_that_only_thinks(
        self, remote: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(textgen_generate, "PATIENCE_SECONDS", 0.05)
        remote.switches.set(running_seconds=0.3)
        assert "Waiting" not in generate("Hello").error
