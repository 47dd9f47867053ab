"""`useChat` itself: the package `ai` under Node, with the module of docs/how-to/react-usechat.md
and its component in React.

`make usechat` installs the packages, and runs this. TEST_USECHAT is the folder that has them.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import path
from django.utils import timezone

from creatify_textgen import chat
from creatify_textgen.chat import Conversation, Run
from creatify_textgen.emulator import Emulator
from creatify_textgen.lifecycle import remove_contents
from creatify_textgen.models import Generation
from creatify_textgen.rest.runs import ConversationRunView
from tests import bad_requests, urls
from tests.architecture.source import ROOT
from tests.journeys.streaming.conftest import (  # noqa: F401  fixtures
    asgi_server,
    asgi_site,
    pumps_end,
    remote,
    session_cookie,
    slots_are_given_back,
)

pytestmark = [pytest.mark.usechat, pytest.mark.django_db(transaction=True)]

PACKAGES = Path(os.environ.get("TEST_USECHAT", ROOT / ".venv" / "usechat"))
PNG = base64.b64encode(bad_requests.PNG).decode()
WEATHER = {"name": "get_weather", "description": "Weather of a city."}

EACH = pytest.mark.parametrize("version", ["5", "6", "7"])
LATEST = pytest.mark.parametrize("version", ["7"])

Talk = Callable[..., Any]


def get_weather(city: str) -> str:
    """Return the weather of a city."""
    return f"Clear in {city}"


@chat.tool(needs_approval=True)
def send_mail(to: str) -> str:
    """Send a mail."""
    return f"Sent to {to}"


RUN = "textgen/conversations/<uuid:conversation_id>/run/"


class Urls:
    def __init__(self, tool: Callable[..., Any]) -> None:
        run = path(RUN, ConversationRunView.as_view(tools=[tool]))
        self.urlpatterns = [run, *urls.urlpatterns]


@pytest.fixture
def conversation(session_cookie: dict[str, str]) -> Conversation:  # noqa: F811
    return Conversation.start(owner=User.objects.get())


@pytest.fixture
def talk(
    version: str,
    conversation: Conversation,
    session_cookie: dict[str, str],  # noqa: F811
    asgi_site: str,  # noqa: F811
    tmp_path: Path,
) -> Talk:
    """Return what runs a scenario of chat.mjs, or of page.mjs, with one version of the package."""
    page = (ROOT / "docs" / "how-to" / "react-usechat.md").read_text()
    module = re.search(r"```js\n// textgen\.js\n(.*?)```", page, re.S)
    component = re.search(r"## The component\n\n```jsx\n(.*?)```", page, re.S)
    assert module
    assert component
    (tmp_path / "textgen.mjs").write_text(module[1])
    (tmp_path / "page.jsx").write_text(component[1])
    for script in Path(__file__).parent.glob("*.mjs"):
        shutil.copy(script, tmp_path)
    (tmp_path / "node_modules").symlink_to(PACKAGES / version / "node_modules")
    cookie = f"sessionid={session_cookie['sessionid']}; csrftoken={'c' * 32}"

    def run(scenario: str, script: str = "chat.mjs") -> Any:
        command = ["node", script, scenario, asgi_site, cookie, str(conversation.pk)]
        environment = {**os.environ, "PNG": PNG}
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        for shown in answer:
            assert not isinstance(shown, dict) or not shown.get("complaints")
        return answer

    return run


@pytest.fixture
def slow_answers(remote: Emulator) -> None:  # noqa: F811
    """Let each answer take two seconds, so that a page can do something meanwhile."""
    remote.switches.set(chunk_count=40, chunk_interval=0.05)


def texts(messages: Any) -> list[tuple[str, str]]:
    return [
        (message["role"], "".join(part.get("text", "") for part in message["parts"]))
        for message in messages
    ]


@EACH
def test_two_messages_with_their_costs(talk: Talk, remote: Emulator) -> None:  # noqa: F811
    shown, loaded = talk("talk")
    assert (shown["status"], shown["error"]) == ("ready", None)
    rows = list(Generation.objects.order_by("created_at").select_related("content"))
    answers = [row.content.response_text for row in rows]
    assert texts(shown["messages"]) == [
        ("user", "Hello"),
        ("assistant", answers[0]),
        ("user", "And then?"),
        ("assistant", answers[1]),
    ]
    assert texts(loaded) == texts(shown["messages"])
    for row, message in zip(rows, shown["messages"][1::2], strict=True):
        assert message["id"] == message["metadata"]["generation"] == str(row.pk)
        assert message["metadata"]["status"] == "done"
        assert message["metadata"]["credits_used"]
        assert message["metadata"]["usage"]["total_token_count"]


@LATEST
def test_an_image(talk: Talk, remote: Emulator) -> None:  # noqa: F811
    shown, loaded = talk("attach")
    medium = Generation.objects.get().media.get()
    file = {"type": "file", "mediaType": "image/png", "url": f"/textgen/media/{medium.pk}/"}
    assert shown["messages"][0]["parts"][0] == {**file, "filename": "a.png"}
    assert loaded[0]["parts"][0] == file
    assert shown["status"] == "ready"


@EACH
def test_functions_on_the_page(
    talk: Talk,
    conversation: Conversation,
    remote: Emulator,  # noqa: F811
) -> None:
    Conversation.objects.update(tools=[{"function_declarations": [WEATHER]}])
    fields = ["id", "thought_signature"]
    checks = ["missing_signature", "missing_response_id"]
    remote.switches.set(function_call_count=2, call_fields=fields, call_checks=checks)
    shown, loaded = talk("tools")
    assert shown["error"] is None
    for messages in (shown["messages"], loaded[:2]):
        tools = [part for part in messages[1]["parts"] if part.get("toolCallId")]
        assert [tool["type"] for tool in tools] == ["tool-get_weather"] * 2
        assert [tool["output"] for tool in tools] == [{"sky": "clear"}] * 2
    assert len(shown["messages"]) == 2
    assert shown["messages"][1]["parts"][-1]["text"]
    last = conversation.last_turn
    assert last is not None
    assert last.number == 2


@EACH
@pytest.mark.usefixtures("slow_answers")
def test_a_second_page_resumes(talk: Talk) -> None:
    shown, other, late = talk("resume")
    assert texts(other["messages"]) == texts(shown["messages"])
    assert other["messages"][1]["id"] == shown["messages"][1]["id"]
    assert texts(shown["messages"])[1][1] == Generation.objects.get().content.response_text
    assert late == {"messages": [], "status": "ready", "error": None}


@LATEST
@pytest.mark.usefixtures("slow_answers")
def test_stop(talk: Talk) -> None:
    shown, status = talk("stop")
    assert (status, shown["status"], shown["error"]) == (200, "ready", None)
    assert shown["messages"][1]["metadata"]["error_code"] == "stopped"


@LATEST
def test_a_stream_that_breaks_off(talk: Talk, remote: Emulator) -> None:  # noqa: F811
    remote.switches.set(stream_fault="error_event")
    [shown] = talk("fail")
    assert shown["status"] == "error"
    assert shown["messages"][1]["metadata"]["status"] == "failed"
    assert shown["error"]


@LATEST
def test_without_a_conversation(talk: Talk, remote: Emulator) -> None:  # noqa: F811
    [shown] = talk("alone")
    last = Generation.objects.latest("created_at")
    assert [message["role"] for message in last.content.messages] == ["user", "model", "user"]
    assert texts(shown["messages"])[-1] == ("assistant", last.content.response_text)


@pytest.fixture
def at_site(settings: Any, host_worker: None, remote: Emulator) -> Callable[..., None]:  # noqa: F811
    """Return what gives the site a path for runs with this function."""

    def use(tool: Callable[..., Any]) -> None:
        settings.ROOT_URLCONF = Urls(tool)

    return use


@pytest.fixture
def weather(at_site: Callable[..., None]) -> None:
    """Have the site call `get_weather`."""
    at_site(get_weather)


def tools_of(shown: Any) -> list[Any]:
    return [part for part in shown["messages"][1]["parts"] if part.get("toolCallId")]


@EACH
@pytest.mark.usefixtures("weather")
def test_functions_of_the_site(talk: Talk) -> None:
    shown, loaded = talk("run")
    run = Run.objects.get()
    assert (shown["status"], shown["error"]) == ("ready", None)
    assert texts(shown["messages"])[1] == ("assistant", run.text)
    [tool], [call] = tools_of(shown), run.calls
    assert (tool["type"], tool["state"]) == ("tool-get_weather", "output-available")
    assert tool["output"] == {"result": f"Clear in {call.args['city']}"}
    metadata = shown["messages"][1]["metadata"]
    assert (metadata["run"], metadata["state"]) == (str(run.pk), "done")
    assert metadata["credits_used"]
    assert texts(loaded) == texts(shown["messages"])
    [cost] = [one["metadata"]["credits_used"] for one in loaded if one["role"] == "assistant"]
    assert Decimal(cost) == Decimal(metadata["credits_used"])
    assert tools_of({"messages": loaded})[0]["output"] == tool["output"]


@EACH
@pytest.mark.usefixtures("slow_answers", "weather")
def test_a_second_page_resumes_a_run(talk: Talk) -> None:
    shown, other, late = talk("resumeRun")
    assert other["messages"] == shown["messages"]
    assert late == {"messages": [], "status": "ready", "error": None}


@EACH
@pytest.mark.usefixtures("slow_answers", "weather")
def test_a_page_with_the_messages_so_far_resumes_a_run(talk: Talk) -> None:
    shown, other, loaded = talk("resumeLoadedRun")
    assert other["messages"][1] == shown["messages"][1]
    assert texts(other["messages"]) == texts(loaded)


@EACH
def test_a_run_that_waits_for_a_person(talk: Talk, at_site: Callable[..., None]) -> None:
    at_site(send_mail)
    waiting, shown, loaded = talk("approve")
    assert (waiting["status"], waiting["error"]) == ("ready", None)
    assert waiting["messages"][1]["metadata"]["state"] == "waiting"
    assert [tool["state"] for tool in tools_of(waiting)] == ["input-available"]
    assert [tool["state"] for tool in tools_of(shown)] == ["output-available"]
    assert shown["messages"][1]["metadata"]["state"] == "done"
    assert texts(loaded) == texts(shown["messages"])


@LATEST
@pytest.mark.usefixtures("slow_answers", "weather")
def test_a_run_is_stopped(talk: Talk) -> None:
    shown, status = talk("stopRun")
    assert (status, shown["status"], shown["error"]) == (200, "ready", None)
    assert Run.objects.get().state == "stopped"


@LATEST
@pytest.mark.usefixtures("weather")
def test_a_conversation_of_which_a_part_was_erased(talk: Talk) -> None:
    talk("run")
    first = Generation.objects.earliest("created_at")
    remove_contents([first.pk], now=timezone.now(), detail="for a test")
    [loaded] = talk("load")
    assert texts(loaded)[-1] == ("assistant", Run.objects.get().text)


class TestComponent:
    """The component of the page, rendered by React."""

    pytestmark = LATEST

    def test_starts_a_conversation_and_shows_the_answer(
        self,
        talk: Talk,
        conversation: Conversation,
        remote: Emulator,  # noqa: F811
    ) -> None:
        first, other = talk("talk", "page.mjs")
        answer = Generation.objects.get().content.response_text
        assert [words.split(" ", 1)[0] for words in first["messages"]] == ["user", "assistant"]
        assert first["messages"][0] == "user Hello"
        assert first["messages"][1].startswith(f"assistant {answer}")
        assert (first["costs"], first["alert"]) == (1, None)
        assert other["messages"] == []
        assert Conversation.objects.count() == 2

    def test_starts_one_conversation_if_effects_run_twice(
        self,
        talk: Talk,
        remote: Emulator,  # noqa: F811
    ) -> None:
        [shown] = talk("strict", "page.mjs")
        assert [words.split(" ", 1)[0] for words in shown["messages"]] == ["user", "assistant"]
        assert Conversation.objects.count() == 2

    @pytest.mark.usefixtures("slow_answers", "weather")
    def test_resumes_a_run_once_if_effects_run_twice(self, talk: Talk) -> None:
        [shown] = talk("resumeStrict", "page.mjs")
        assert [words.split(" ", 1)[0] for words in shown["messages"]] == ["user", "assistant"]
        assert shown["messages"][1].count(Run.objects.get().text) == 1

    @pytest.mark.usefixtures("weather")
    def test_shows_a_conversation_with_all_its_parts(self, talk: Talk) -> None:
        talk("run")
        [loaded] = talk("loaded", "page.mjs")
        assert len(loaded["messages"]) == 2
        assert Run.objects.get().text in loaded["messages"][1]

    def test_sends_an_image(self, talk: Talk, remote: Emulator) -> None:  # noqa: F811
        [shown] = talk("attach", "page.mjs")
        assert shown["alert"] is None
        assert Generation.objects.get().media.count() == 1

    @pytest.mark.usefixtures("slow_answers")
    def test_stops(self, talk: Talk) -> None:
        streaming, stopped = talk("stop", "page.mjs")
        assert (streaming["button"], stopped["button"]) == ("Stop", "Send")
        assert stopped["alert"] is None
        assert Generation.objects.get().stopped_at

    def test_shows_what_went_wrong(self, talk: Talk, remote: Emulator) -> None:  # noqa: F811
        remote.switches.set(stream_fault="error_event")
        [shown] = talk("fail", "page.mjs")
        assert shown["alert"]
