"""`manage.py textgen_generate`: generates text from a prompt. The cost goes to stderr.

One run calls one service. Exit codes: 0 done, 1 failed or refused, 2 wrong usage, 3 not finished
yet, 130 interrupted with Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.management.base import CommandError, CommandParser
from django.db import connections

from creatify_textgen import clock, services
from creatify_textgen.conf import conf
from creatify_textgen.exceptions import RequestError, TextgenError, TransitionError
from creatify_textgen.management.interrupts import Interrupts
from creatify_textgen.management.terminal import PlainCommand
from creatify_textgen.models import Generation
from creatify_textgen.services.health import ask_balance
from creatify_textgen.states import Status
from creatify_textgen.streams import GenerationStream

PATIENCE_SECONDS = 0.8
"""After this time without an answer, the command asks the remote for the balance, for this time at
most. If that fails too, it prints why."""
FAILED, USAGE, UNFINISHED, INTERRUPTED = 1, 2, 3, 130


class Command(PlainCommand):
    help = "Generate text from a prompt (an argument, or standard input) and print it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("prompt", nargs="?", help="the prompt (default: standard input)")
        parser.add_argument("--model", metavar="NAME", help="model name (default: DEFAULT_MODEL)")
        parser.add_argument("--system", default="", metavar="TEXT", help="system instruction")
        parser.add_argument(
            "--config", type=_json_object, metavar="JSON", help="such as '{\"temperature\": 0.2}'"
        )
        parser.add_argument(
            "--json", type=_json_file, metavar="FILE", help="JSON Schema for the answer"
        )
        for kind in ("image", "video"):
            parser.add_argument(
                f"--{kind}", type=_file, action="append", default=[], metavar="FILE",
                help=f"{kind} to send with the prompt; may be repeated",
            )  # fmt: skip
        parser.add_argument(
            "--account", default="default", help="name in ACCOUNTS (default: default)"
        )
        ways = parser.add_mutually_exclusive_group()
        ways.add_argument("--stream", action="store_true", help="print the answer while it arrives")
        ways.add_argument(
            "--async", action="store_true", dest="in_background",
            help="let a worker send it, and print the generation's id",
        )  # fmt: skip
        ways.add_argument("--attach", metavar="ID", help="follow an existing generation")
        parser.add_argument("--after", metavar="POSITION", help="with --attach: where to begin")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._run(options)
        except RequestError as error:
            self._print_problems(error)
            sys.exit(FAILED)
        except TextgenError as error:
            raise CommandError(f"{error} ({error.code})", returncode=FAILED) from error

    def _run(self, options: dict[str, Any]) -> None:
        if options["attach"]:
            self._attach(_find(options["attach"]), after=options["after"])
            return
        if options["after"]:
            raise CommandError("--after needs --attach.", returncode=USAGE)
        request = _request(options)
        if options["stream"]:
            with self._saying_what_it_waits_for(request["account"]):
                self._follow(partial(services.stream, **request), begun=True)
        elif options["in_background"]:
            self.stdout.write(str(services.submit(**request).pk))
        else:
            self._generate(request)

    def _generate(self, request: dict[str, Any]) -> None:
        try:
            with self._saying_what_it_waits_for(request["account"]):
                generation = services.generate(**request)
        except KeyboardInterrupt:
            # The id is not known before `generate` returns. A sweep finds the row without it.
            self._note("\nIf the generation has begun, it continues: its result will be saved.")
            sys.exit(INTERRUPTED)
        self.stdout.write(generation.content.response_text)
        self._end(generation)

    def _attach(self, generation: Generation, *, after: str | None) -> None:
        if not generation.is_final:
            self._note(f"It is {generation.status}. Ctrl-C stops waiting, not the generation.")
        self._follow(partial(services.attach, generation, after=after), begun=False)

    def _follow(self, begin: Callable[[], GenerationStream], *, begun: bool) -> None:
        """Print a stream to its end. `begun` says that this process starts it."""
        stream = None
        with Interrupts() as interrupts:
            try:
                # Ctrl-C at this point would leave a row whose id was never printed.
                with interrupts.held_back():
                    stream = begin()
                    shown = stream.position
                with stream:
                    for chunk in stream:
                        with interrupts.held_back():
                            self.stdout.write(chunk.text, ending="")
                            self.stdout.flush()
                            shown = stream.position
            except KeyboardInterrupt:
                if stream is not None:
                    self._say_how_to_return(stream.generation, shown, begun=begun)
                sys.exit(INTERRUPTED)
        self.stdout.write("")
        self._end(stream.generation)

    @contextmanager
    def _saying_what_it_waits_for(self, account: str) -> Iterator[None]:
        """Write to stderr that the remote does not answer, if the block takes longer than that."""
        is_over, began = threading.Event(), clock.known_now()

        def say() -> None:
            try:
                # Checking a large video takes a while, and nothing is sent before. A row of
                # another process may end this loop early: then the balance is asked early.
                while not (was_over := is_over.wait(PATIENCE_SECONDS)) and not _is_saved(began):
                    pass
                problem = None if was_over else _problem_of(account)
                if problem and not is_over.is_set():
                    self._note(f"Waiting for account {account!r}: {problem} Ctrl-C stops waiting.")
            finally:
                # Django closes connections around requests only.
                connections.close_all()

        threading.Thread(target=say, name="textgen-patience", daemon=True).start()
        try:
            yield
        finally:
            is_over.set()

    def _say_how_to_return(self, generation: Generation, position: object, *, begun: bool) -> None:
        if begun and conf.stream_backend.startswith("memory://"):
            # The pump is a thread of this process and ends with it.
            if _take_back(generation):
                self._note("\nNothing was sent yet. The generation is cancelled.")
                return
            fate = (
                "The generation continues at Creatify. The next sweep of a worker, or manage.py "
                "textgen_sweep, searches for its result, which may take minutes."
            )
        else:
            fate = "The generation continues."
        self._note(
            f"\n{fate} Attach again: manage.py textgen_generate --attach {generation.pk}\n"
            f"(add --after {position} to print only what is not above)"
        )

    def _end(self, generation: Generation) -> None:
        """Print the outcome to stderr, and exit with its code."""
        for call in generation.content.response_function_calls:
            self.stdout.write(json.dumps(call, ensure_ascii=False))
        cost = generation.credits_used
        price = "unknown credits" if cost is None else f"{cost.normalize():f} credits"
        self._note(f"{generation.status} | {generation.model_name} | {price} | {generation.pk}")
        if generation.status == Status.DONE:
            return
        if not generation.is_final:
            self._note(f"Not finished yet: --attach {generation.pk} waits for it.")
            sys.exit(UNFINISHED)
        reason = generation.content.failed_reason or "It did not succeed."
        self.stderr.write(f"{reason} ({generation.error_code or generation.status})")
        sys.exit(FAILED)

    def _note(self, text: str) -> None:
        # `str` as the style: the default style of stderr is the red of errors.
        self.stderr.write(text, str)

    def _print_problems(self, error: RequestError) -> None:
        for path, rules in error.errors.items():
            self.stderr.write(f"{path or 'The request'}: {' '.join(rules)}")


def _is_saved(since: datetime) -> bool:
    return Generation.objects.filter(created_at__gte=since).exists()


def _problem_of(account: str) -> str | None:
    """Ask the remote for the balance, which is free; return why it does not answer, or None."""
    try:
        ask_balance(account, seconds=PATIENCE_SECONDS)
    except (TextgenError, ImproperlyConfigured, ValueError) as error:
        return str(error)
    return None


def _take_back(generation: Generation) -> bool:
    # `cancel` is one conditional UPDATE. If the pump sends at this moment, only one of them wins.
    try:
        services.cancel(generation)
    except TransitionError:
        return False
    return True


def _request(options: dict[str, Any]) -> dict[str, Any]:
    config = dict(options["config"] or {})
    if options["json"] is not None:
        config["response_json_schema"] = options["json"]
    return {
        "messages": [{"role": "user", "content": _content(options)}],
        "model_name": options["model"],
        "system_instruction": options["system"],
        "config": config,
        "account": options["account"],
    }


def _content(options: dict[str, Any]) -> Any:
    prompt = _piped() if options["prompt"] is None else options["prompt"]
    media = [{"type": kind, "data": path} for kind in ("image", "video") for path in options[kind]]
    if not media and not prompt.strip():
        raise CommandError("The prompt is empty.", returncode=USAGE)
    return [*media, {"type": "text", "text": prompt}] if media else prompt


def _piped() -> str:
    if sys.stdin.isatty():
        raise CommandError("Give a prompt as an argument or on standard input.", returncode=USAGE)
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        text = f"The prompt on standard input is not {error.encoding.upper()}."
        raise CommandError(text, returncode=USAGE) from error


def _find(identifier: str) -> Generation:
    try:
        return Generation.objects.get(pk=identifier)
    except (Generation.DoesNotExist, ValidationError) as error:
        raise CommandError(f"There is no generation {identifier!r}.") from error


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text, object_pairs_hook=_without_duplicates)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"is not JSON: {error}") from error
    except RecursionError as error:
        raise argparse.ArgumentTypeError("is nested too deep") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("must be a JSON object")
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # JSON allows them and Python keeps the last (RFC 8259, section 4). In a schema that is written
    # by hand, it would cost money to find out which one was meant.
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise argparse.ArgumentTypeError(f"has {twice!a} twice in one object")
    return members


def _json_file(name: str) -> dict[str, Any]:
    try:
        return _json_object(_file(name).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"cannot be read: {error}") from error


def _file(name: str) -> Path:
    path = Path(name)
    try:
        if path.is_file():
            return path
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot be read: {error.strerror}") from error
    raise argparse.ArgumentTypeError(f"{name} is not a file")
