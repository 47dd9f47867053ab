"""Every way in which an echo may differ from what was sent."""

from __future__ import annotations

from typing import Any

import pytest

from creatify_textgen.emulator.faults.echoes import CHANGES, changed_echo
from creatify_textgen.emulator.faults.switches import SWITCHES

ECHO: dict[str, Any] = {
    "model_name": "gemini-2.5-flash",
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": " Cafe\u0301\r\n bar "},
                {"type": "image", "mime_type": "image/png", "data": "aGk="},
                {"type": "video", "mime_type": "video/webm"},
            ],
        },
        {"role": "model", "content": "ok  ok"},
    ],
    "system_instruction": "Be\u00a0brief. ",
    "config": {"temperature": 0.7, "seed": 1},
}


def changed(*names: str, **fields: Any) -> dict[str, Any]:
    return changed_echo({**ECHO, **fields}, changes=names)


class TestChangedEcho:
    def test_without_changes_is_equal(self) -> None:
        assert changed() == ECHO

    @pytest.mark.parametrize("name", CHANGES)
    def test_with_any_change_differs_and_leaves_the_original_alone(self, name: str) -> None:
        before = repr(ECHO)
        assert repr(changed(name)) != before
        assert repr(ECHO) == before

    def test_knows_the_words_of_the_switch(self) -> None:
        assert tuple(CHANGES) == SWITCHES["echo_changes"].allowed

    def test_adds_defaults_but_keeps_what_was_set(self) -> None:
        config = changed("config_defaults")["config"]
        assert (config["temperature"], config["top_p"], config["seed"]) == (0.7, 0.95, 1)

    def test_rounds_numbers_to_single_precision(self) -> None:
        config = changed("config_rounded")["config"]
        assert config["temperature"] == pytest.approx(0.7)
        assert config["temperature"] != 0.7
        assert config["seed"] == 1

    def test_normalizes_text_everywhere(self) -> None:
        echo = changed("text_normalized")
        texts = (echo["messages"][0]["content"][0]["text"], echo["messages"][1]["content"])
        assert texts == ("Café bar", "ok ok")
        assert echo["system_instruction"] == "Be brief."

    def test_encodes_media_again(self) -> None:
        _, image, video = changed("media_reencoded")["messages"][0]["content"]
        assert (image["mime_type"], video) == (
            "image/webp",
            {"type": "video", "mime_type": "video/mp4"},
        )
        assert image["data"] not in ("", "aGk=")

    def test_leaves_other_parts_alone_when_it_encodes_media_again(self) -> None:
        messages = changed("media_reencoded")["messages"]
        assert messages[0]["content"][0] == ECHO["messages"][0]["content"][0]
        assert messages[1] == ECHO["messages"][1]

    @pytest.mark.parametrize(
        ("name", "shown"),
        [("gemini-2.5-flash", "gemini-3.5-flash-lite"), ("gemini-x", "gemini-x-001")],
        ids=["retired", "other"],
    )
    def test_names_another_model(self, name: str, shown: str) -> None:
        assert changed("model_renamed", model_name=name)["model_name"] == shown

    def test_reorders_keys_at_every_depth_and_nothing_else(self) -> None:
        echo = changed("keys_reordered")
        assert echo == ECHO
        assert list(echo) == sorted(ECHO, reverse=True)
        assert list(echo["messages"][0]["content"][0]) == ["type", "text"]
        assert list(echo["config"]) == ["temperature", "seed"]

    @pytest.mark.parametrize(
        ("name", "field", "left"),
        [
            ("messages_empty", "messages", []),
            ("messages_missing", "messages", None),
            ("config_missing", "config", {}),
            ("system_instruction_missing", "system_instruction", ""),
        ],
    )
    def test_leaves_fields_out(self, name: str, field: str, left: Any) -> None:
        echo = changed(name)
        assert echo.pop(field, None) == left
        assert echo == {key: value for key, value in ECHO.items() if key != field}

    def test_makes_several_changes(self) -> None:
        echo = changed("messages_missing", "config_defaults", "text_normalized")
        assert "messages" not in echo
        assert echo["config"]["top_p"] == 0.95
        assert echo["system_instruction"] == "Be brief."
