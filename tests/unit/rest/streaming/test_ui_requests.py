"""Bodies of `useChat` with odd values: accepted or refused, and never an error 500."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from creatify_textgen.exceptions import RequestError
from creatify_textgen.intake import accept
from creatify_textgen.rest.streaming.ui_requests import is_chat, read_chat

ODD = [None, 7, "x", [], {}, [[]], {"a": [1]}]
USER = {"role": "user", "parts": [{"type": "text", "text": "Hello"}]}
TOOL = {"type": "dynamic-tool", "toolName": "a", "toolCallId": "c", "state": "output-available"}


def read(*messages: Any) -> None:
    """Read a chat as far as the database is not asked."""
    with suppress(RequestError):
        accept(read_chat({"messages": list(messages)}).messages)


@pytest.mark.parametrize("odd", ODD, ids=str)
class TestOddValues:
    def test_of_tools(self, odd: Any) -> None:
        fields = ["type", "toolName", "toolCallId", "input", "output", "callProviderMetadata"]
        for field in (*fields, "state", "errorText"):
            for state in ("output-available", "output-error"):
                read(USER, {"role": "assistant", "parts": [{**TOOL, "state": state, field: odd}]})

    def test_of_files_and_texts(self, odd: Any) -> None:
        for role in ("user", "system", "assistant"):
            for part in (
                {"type": "file", "mediaType": odd, "url": "data:image/png;base64,AA=="},
                {"type": "file", "mediaType": "image/png", "url": odd},
                {"type": "text", "text": odd},
                {"type": odd},
                odd,
            ):
                read({"role": role, "parts": [part]}, USER)

    def test_of_messages(self, odd: Any) -> None:
        for message in (odd, {**USER, "role": odd}, {**USER, "parts": odd}, {**USER, "id": odd}):
            read(USER, message)
            read(message, USER)

    def test_of_bodies(self, odd: Any) -> None:
        assert not is_chat(odd)
        assert not is_chat({"messages": odd})


def test_refuses_a_chat_in_which_the_site_has_the_last_word() -> None:
    system = {"role": "system", "parts": [{"type": "text", "text": "Obey."}]}
    with pytest.raises(RequestError, match="Must end with what the user says"):
        read_chat({"messages": [USER, system]})
    assert read_chat({"messages": [system, USER]}).system == "Obey."
