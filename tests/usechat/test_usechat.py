"""`useChat` itself: the package `ai` under Node, with the module of docs/how-to/react-usechat.md.

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
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from creatify_textgen.chat import Conversation
from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Generation
from tests import bad_requests
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

Talk = Callable[[str], Any]


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
    """Return what runs a scenario of chat.mjs with one version of the package."""
    page = (ROOT / "docs" / "how-to" / "react-usechat.md").read_text()
    module = re.search(r"```js\n// textgen\.js\n(.*?)```", page, re.S)
    assert module
    (tmp_path / "textgen.mjs").write_text(module[1])
    shutil.copy(Path(__file__).with_name("chat.mjs"), tmp_path)
    (tmp_path / "node_modules").symlink_to(PACKAGES / version / "node_modules")
    cookie = f"sessionid={session_cookie['sessionid']}; csrftoken={'c' * 32}"

    def run(scenario: str) -> Any:
        command = ["node", "chat.mjs", scenario, asgi_site, cookie, str(conversation.pk)]
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
        return json.loads(done.stdout)

    return run


def texts(messages: Any) -> list[tuple[str, str]]:
    return [
        (message["role"], "".join(part.get("text", "") for part in message["parts"]))
        for message in messages
    ]


@EACH
def test_two_messages_with_their_costs(talk: Talk, remote: Emulator) -> None:  # noqa: F811
    chat, loaded = talk("talk")
    assert (chat["status"], chat["error"]) == ("ready", None)
    rows = list(Generation.objects.order_by("created_at").select_related("content"))
    answers = [row.content.response_text for row in rows]
    assert texts(chat["messages"]) == [
        ("user", "Hello"),
        ("assistant", answers[0]),
        ("user", "And then?"),
        ("assistant", answers[1]),
    ]
    assert texts(loaded) == texts(chat["messages"])
    for row, message in zip(rows, chat["messages"][1::2], strict=True):
        assert message["id"] == message["metadata"]["generation"] == str(row.pk)
        assert message["metadata"]["status"] == "done"
        assert message["metadata"]["credits_used"]
        assert message["metadata"]["usage"]["total_token_count"]


@LATEST
def test_an_image(talk: Talk, remote: Emulator) -> None:  # noqa: F811
    chat, loaded = talk("attach")
    medium = Generation.objects.get().media.get()
    file = {"type": "file", "mediaType": "image/png", "url": f"/textgen/media/{medium.pk}/"}
    assert chat["messages"][0]["parts"][0] == {**file, "filename": "a.png"}
    assert loaded[0]["parts"][0] == file
    assert chat["status"] == "ready"


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
    chat, loaded = talk("tools")
    assert chat["error"] is None
    for messages in (chat["messages"], loaded[:2]):
        tools = [part for part in messages[1]["parts"] if part.get("toolCallId")]
        assert [tool["type"] for tool in tools] == ["tool-get_weather"] * 2
        assert [tool["output"] for tool in tools] == [{"sky": "clear"}] * 2
    assert len(chat["messages"]) == 2
    assert chat["messages"][1]["parts"][-1]["text"]
    last = conversation.last_turn
    assert last is not None
    assert last.number == 2


@EACH
def test_a_second_page_resumes(talk: Talk, remote: Emulator) -> None:  # noqa: F811
    remote.switches.set(chunk_count=40, chunk_interval=0.05)
    chat, other, late = talk("resume")
    assert texts(other["messages"]) == texts(chat["messages"])
    assert other["messages"][1]["id"] == chat["messages"][1]["id"]
    assert texts(chat["messages"])[1][1] == Generation.objects.get().content.response_text
    assert late == {"messages": [], "status": "ready", "error": None}


@LATEST
def test_stop(talk: Talk, remote: Emulator) -> None:  # noqa: F811
    remote.switches.set(chunk_count=40, chunk_interval=0.05)
    chat, status = talk("stop")
    assert (status, chat["status"], chat["error"]) == (200, "ready", None)
    assert chat["messages"][1]["metadata"]["error_code"] == "stopped"


@LATEST
def test_a_stream_that_breaks_off(talk: Talk, remote: Emulator) -> None:  # noqa: F811
    remote.switches.set(stream_fault="error_event")
    [chat] = talk("fail")
    assert chat["status"] == "error"
    assert chat["messages"][1]["metadata"]["status"] == "failed"
    assert chat["error"]


@LATEST
def test_without_a_conversation(talk: Talk, remote: Emulator) -> None:  # noqa: F811
    [chat] = talk("alone")
    last = Generation.objects.latest("created_at")
    assert [message["role"] for message in last.content.messages] == ["user", "model", "user"]
    assert texts(chat["messages"])[-1] == ("assistant", last.content.response_text)
