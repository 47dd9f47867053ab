"""One word for one thing: words that were replaced stay out, and hard words are explained first."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps

from tests.architecture.source import PACKAGE, ROOT, package_modules

OLD_WORDS = {
    r"next_check_at": "due_at",
    r"checked_at": "polled_at",
    r"hinted_remote_id": "unverified_remote_id",
    r"[Ss]ightings?": "Snapshot",
    r"\blook(?:ed)?_at\b|_look(?:ed)?_at\b|_look_every|_may_look": "poll, due_at",
    r"\bLook\(|\bclass Look\b|\bservices\.looking\b": "Poll, polling",
    r"\ba look (?:at|into)\b|\bnext look\b|\btwo looks\b": "a poll, a read of the row",
    r"\b[Ss]napshots\.wait\b|\bpostpone\b": "reschedule",
    r"(?:\b|_)[Aa]larms?\b|SweepAlarm": "sweep_schedule, request_sweep",
    r"\bis_heard\b": "has_listeners",
    r"_take_on\b": "claim_announcement",
    r"FinishedRows": "FinalRowCache",
    r"[Tt]aking_up|[Tt]ake_up|TAKE_UP": "pickup, claim_stream",
    r"\bstreams[./](?:endings|beginning|reading|rows|following)\b": (
        "own_frames, first_frame, reader_plan, database, follow"
    ),
    r"_?WaitingRoom|\bwaiting[_ ]room\b": "LoopWaiters",
    r"\b_?bell\b": "timer",
    r"\bhub[./]tail\b": "StreamTrim",
    r"\blegible\b|\bunmask": "show_control_chars",
    r"\bspell_\w+": "format_…",
    r"\bshow_(?:status|credits|credit_report)\b": "render_…",
    r"begin_or_repeat": "get_or_begin_stream",
}
"""Pattern of the word that was replaced, and the word to write."""

OLD_CLASSES = {
    "remote.transport": {"Line": "WatchedSocket"},
    "streams.checkpoints": {"_Pump": "WatchedStream"},
    "streams.hub": {"Tail": "StreamTrim"},
}
"""Names that are good elsewhere: by the module, or the room, in which they were replaced."""

OLD_PHRASES = {
    r"\btold\b|\btells?\b|\btelling\b": "reports, says, shows",
    r"\bhears?\b|\bheard\b": "receives, reads",
    r"\bsees? to\b": "processes, ensures",
    r"\banew\b": "again",
    r"\bof (?:its|our|their|your|his|her) own\b": "its, our, their",
    r"\bof (?:ours|yours|theirs)\b": "our, your, their",
    r"\b(?:is|are|was|were) away\b": "is unreachable",
    r"\bcom(?:e|es|ing) due\b": "is due",
    r"\bwhere (?:it|that|this|they|one) (?:fails?|breaks?|is installed|is set)\b": "if it fails",
    r"\bwhere (?:nothing|something|nobody|somebody)\b": "if nothing",
    r"\b(?:None|False|True|empty|\w+Error|PolicyRefusal) where\b": "None if",
}
"""English that has to be read twice, and what to write."""

HARD_WORDS = (
    "adoption",
    "checkpoint",
    "chunk",
    "circuit",
    "claim",
    "delivery",
    "fingerprint",
    "frame",
    "hub",
    "lease",
    "poll",
    "position",
    "pump",
    "reconciliation",
    "rollup",
    "snapshot",
    "sweep",
)
"""Words with a meaning that a newcomer cannot guess."""

RECORDS = {ROOT / "CHANGELOG.md"}
"""What was: old words may be named there."""
PAGES = sorted(
    {*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")} - RECORDS - set(ROOT.glob("docs/adr/0*.md"))
)
SHIPPED = sorted(
    path
    for kind in ("*.py", "*.html", "*.js", "*.css", "*.txt")
    for path in PACKAGE.rglob(kind)
    if "migrations" not in path.parts
)
MODULES = [path for path in SHIPPED if path.suffix == ".py"]
GLOSSARY = ROOT / "docs" / "reference" / "glossary.md"
EXPLAINED = [page for page in PAGES if page != GLOSSARY]
INTRODUCED = re.compile(r"\]\([^)]*glossary\.md[^)]*\)")
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
ENTRY = re.compile(r"^### (.+)$", re.MULTILINE)


def ids(paths: list[Path]) -> list[str]:
    # The package may be installed elsewhere.
    return [
        path.relative_to(PACKAGE.parent if PACKAGE in path.parents else ROOT).as_posix()
        for path in paths
    ]


def found(patterns: dict[str, str], text: str) -> list[str]:
    """Return `line: "old word"; write new word` for each place."""
    return [
        f'line {text.count(chr(10), 0, match.start()) + 1}: "{match[0]}"; write {new}'
        for old, new in patterns.items()
        for match in re.finditer(old, text)
    ]


def blank(match: re.Match[str]) -> str:
    """Keep the lines of code that is left out, so that the numbers of lines hold."""
    return "\n" * match[0].count("\n")


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def prose(path: Path) -> str:
    """Return a module's comments and docstrings in their lines, the other lines empty."""
    source = read(path)
    lines = [""] * (source.count("\n") + 2)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            lines[token.start[0] - 1] = token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            written = str(node.value.value).splitlines()
            lines[node.lineno - 1 : node.lineno - 1 + len(written)] = written
    return "\n".join(lines)


def unexplained(text: str) -> Iterator[str]:
    """Yield each hard word that a page uses before its first link to the glossary."""
    introduced = INTRODUCED.search(text)
    before = CODE.sub(blank, text[: introduced.end() if introduced else None])
    for word in HARD_WORDS:
        if re.search(rf"\b{word}(?:s|es|ing|ed)?\b", before, re.IGNORECASE):
            yield word


class TestOldWords:
    @pytest.mark.parametrize("path", SHIPPED, ids=ids(SHIPPED))
    def test_are_not_in_the_package(self, path: Path) -> None:
        assert found(OLD_WORDS, read(path)) == []

    @pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))
    def test_are_not_in_the_docs(self, page: Path) -> None:
        assert found(OLD_WORDS, read(page)) == []

    def test_are_no_columns(self) -> None:
        old = {"checks", "checked_at", "next_check_at", "hinted_remote_id"}
        models = apps.get_app_config("creatify_textgen").get_models()
        assert {field.name for model in models for field in model._meta.get_fields()} & old == set()

    def test_are_no_modules(self) -> None:
        old = {"endings", "beginning", "reading", "rows", "following", "taking_up"}
        streams = {m.name.split(".")[-1] for m in package_modules() if m.room == "streams"}
        assert streams & old == set()

    @pytest.mark.parametrize("place", OLD_CLASSES)
    def test_are_no_classes(self, place: str) -> None:
        modules = [m for m in package_modules() if f"{m.name}.".startswith(f"{place}.")]
        nodes = [node for module in modules for node in ast.walk(module.tree)]
        assert modules
        assert {n.name for n in nodes if isinstance(n, ast.ClassDef)}.isdisjoint(OLD_CLASSES[place])

    @pytest.mark.parametrize(
        "text",
        [
            "a lookup of the key",
            "checks = run_checks()",
            "waiting for the reading of a stream",
            "show_facets = True",
            "Take the generation up to the limit",
            "look at the page",
            "Looking for a line feed",
            "work that was postponed",
        ],
    )
    def test_are_not_ordinary_words(self, text: str) -> None:
        assert found(OLD_WORDS, text) == []

    def test_are_found_with_line_and_new_word(self) -> None:
        assert found(OLD_WORDS, "one\nrow.next_check_at") == [
            'line 2: "next_check_at"; write due_at'
        ]


class TestEnglish:
    @pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))
    def test_is_read_once(self, page: Path) -> None:
        assert found(OLD_PHRASES, CODE.sub(blank, read(page))) == []

    @pytest.mark.parametrize("path", MODULES, ids=ids(MODULES))
    def test_is_plain_in_comments_and_docstrings(self, path: Path) -> None:
        assert found(OLD_PHRASES, CODE.sub(blank, prose(path))) == []

    def test_is_plain_in_the_pages_of_the_admin(self) -> None:
        texts = {path: read(path) for path in PACKAGE.rglob("*.html")}
        problems = {path.name: found(OLD_PHRASES, text) for path, text in texts.items()}
        assert {name: places for name, places in problems.items() if places} == {}


class TestGlossary:
    def test_explains_every_hard_word(self) -> None:
        assert set(HARD_WORDS) <= set(ENTRY.findall(read(GLOSSARY)))

    def test_explains_a_word_once(self) -> None:
        entries = ENTRY.findall(read(GLOSSARY))
        assert len(entries) == len(set(entries))

    @pytest.mark.parametrize("page", EXPLAINED, ids=ids(EXPLAINED))
    def test_is_linked_before_its_words_are_used(self, page: Path) -> None:
        assert list(unexplained(read(page))) == []

    def test_finds_a_word_that_comes_too_early(self) -> None:
        assert list(unexplained("The pump. [Words](glossary.md). The hub.")) == ["pump"]
