"""The how-to pages, followed word for word: every snippet runs, in a host's own test run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User

from creatify_textgen import enqueue
from creatify_textgen.signals import run_finished
from creatify_textgen.testing import Answer, Stub
from tests.architecture.source import ROOT
from tests.bad_requests import PNG

SNIPPET = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
INVOICE = {"number": "12", "lines": [{"title": "Tea", "price": 2.5}]}
CALL = {"name": "get_weather", "args": {"city": "Paris"}}


def snippets(page: str) -> list[str]:
    return SNIPPET.findall((ROOT / "docs" / "how-to" / page).read_text(encoding="utf-8"))


class TestStructuredAnswers:
    @pytest.mark.django_db
    def test_run_as_printed(self, creatify_stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
        recipe = {"title": "Pancakes", "steps": ["Mix."]}
        creatify_stub.answer([INVOICE, INVOICE, recipe, Answer(function_calls=[CALL])])
        namespace: dict[str, Any] = {"__name__": "page"}
        for snippet in snippets("structured-answers.md"):
            # As in a module of a site: type hints are resolved in the module of the class.
            exec(compile(snippet, "structured-answers.md", "exec", dont_inherit=True), namespace)
        price, refused, *partials, called = capsys.readouterr().out.splitlines()
        assert price == "2.5"
        assert partials[-1] == "Pancakes 1"
        assert refused.startswith("{'schema.properties.code.pattern': ['Gemini does not read it:")
        assert called == "get_weather {'city': 'Paris'}"
        assert len(creatify_stub.asked) == 4


def get_weather(city: str) -> str:
    """Return the weather of a city."""
    return "clear"


class TestConversations:
    @pytest.mark.django_db
    def test_run_as_printed(self, creatify_stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
        answers = ["The Forum.", "The zoo.", "On a hill.", "Socks.", Answer(function_calls=[CALL])]
        creatify_stub.answer([*answers, "Clear.", "The cathedral."])
        user = User.objects.create_user("user")
        namespace: dict[str, Any] = {"user": user, "png": PNG, "get_weather": get_weather}
        for snippet in snippets("conversations.md"):
            # The stub answers at once, but here the answer is still to come.
            is_waiting = "TransitionError" in snippet
            slow = patch.object(enqueue, "submit", lambda _: None) if is_waiting else nullcontext()
            with slow:
                exec(compile(snippet, "conversations.md", "exec"), namespace)
        printed = capsys.readouterr().out
        assert printed.split("\n") == ["The zoo.", "Socks.Clear.", "conversation_busy", ""]
        creatify_stub.assert_asked(times=7)


class TestTools:
    @pytest.mark.django_db
    def test_run_as_printed(
        self,
        creatify_stub: Stub,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        mail = {"name": "send_mail", "args": {"to": "Ann", "text": "Sun!"}}
        calls = Answer(function_calls=[CALL])
        name = Answer(function_calls=[{"name": "get_name", "args": {}}])
        asks = [calls, "Sunny.", "Clear.", "It is.", name, "You are user.", calls, "Cold."]
        creatify_stub.answer([*asks, Answer(function_calls=[mail]), "Mailed."])
        # The page is a module, as a worker would import it.
        page = ModuleType("page_of_tools")
        monkeypatch.setitem(sys.modules, page.__name__, page)
        page.__dict__["user"] = User.objects.create_user("user")
        for snippet in snippets("tools.md"):
            exec(compile(snippet, "tools.md", "exec", dont_inherit=True), page.__dict__)
        run_finished.disconnect(page.__dict__["show"])
        printed = capsys.readouterr().out.splitlines()
        called = "send_mail {'to': 'Ann', 'text': 'Sun!'}"
        assert printed == ["done Sunny.", called, "Mailed."]
        creatify_stub.assert_asked(times=10)


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Return a folder with the files of the page, in a project that has only its settings."""
    files = [re.match(r"# (\w+(?:\.py)?)\n", code) for code in snippets("testing.md")]
    assert [match and match[1] for match in files] == [
        "settings",
        "test_taglines.py",
        "test_shop.py",
    ]
    settings, taglines, shop = snippets("testing.md")
    (tmp_path / "host_settings.py").write_text(f"from tests.settings import *\n{settings}")
    (tmp_path / "test_taglines.py").write_text(taglines)
    (tmp_path / "test_shop.py").write_text(shop)
    return tmp_path


class TestTesting:
    @pytest.mark.slow
    def test_runs_in_a_host(self, host: Path) -> None:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "host_settings",
            "PYTHONPATH": os.pathsep.join([str(host), str(ROOT)]),
            "TEST_DATABASE_URL": "sqlite://",
        }
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(host)]
        result = subprocess.run(
            command, cwd=host, env=environment, capture_output=True, text=True, timeout=300
        )
        assert "6 passed" in result.stdout, result.stdout + result.stderr
