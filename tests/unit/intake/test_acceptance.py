"""What `accept` makes of right requests, and the limits of what it looks at. No database."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.test import override_settings

from creatify_textgen.exceptions import RequestError
from creatify_textgen.intake import accept, read_body
from tests.bad_requests import nested, request_body

CALL = {"role": "model", "function_call": {"name": "f", "args": {"city": "Oslo"}}}
RESPONSE = {"role": "user", "function_response": {"name": "f", "response": {"degrees": 3}}}
TOOLS = [{"function_declarations": [{"name": "f"}, {"name": "g.h:i-j"}]}]


def errors_of(messages: Any = "Hello", **fields: Any) -> dict[str, list[str]]:
    with pytest.raises(RequestError) as caught:
        accept(messages, **fields)
    return caught.value.errors


class TestAccept:
    def test_makes_a_string_one_message_of_the_user(self) -> None:
        assert accept("Hello").messages == [{"role": "user", "content": "Hello"}]

    def test_says_what_to_do_with_a_function_in_tools(self) -> None:
        assert "chat.run" in errors_of(tools=[print])["tools[0]"][0]

    def test_fills_in_what_was_not_said(self) -> None:
        intake = accept("Hello")
        assert intake.model_name == "gemini-3-flash-preview"
        assert intake.account == "default"
        assert intake.owner_id is None
        assert intake.system_instruction == ""
        assert (intake.config, intake.tool_config, intake.metadata) == ({}, {}, {})
        assert (intake.tools, intake.media) == ([], [])

    def test_keeps_what_gemini_wants_back(self) -> None:
        call = {"name": "f", "args": {}, "id": "call-1", "thought_signature": "c2ln"}
        response = {"name": "f", "response": {"ok": True}, "id": "call-1"}
        first, second = accept(
            [
                {"role": "model", "function_call": call},
                {"role": "user", "function_response": response},
            ]
        ).messages
        assert (first["function_call"], second["function_response"]) == (call, response)

    @pytest.mark.parametrize("nothing", [None, ""], ids=repr)
    def test_drops_empty_marks_of_a_call(self, nothing: str | None) -> None:
        call = {"name": "f", "args": {}, "id": nothing, "thought_signature": nothing}
        [message] = accept([{"role": "model", "function_call": call}]).messages
        assert message["function_call"] == {"name": "f", "args": {}}

    def test_refuses_marks_of_a_call_that_are_no_text(self) -> None:
        with pytest.raises(RequestError) as caught:
            accept([{"role": "model", "function_call": {"name": "f", "id": 7}}])
        assert list(caught.value.errors) == ["messages[0].function_call.id"]

    def test_takes_nulls_for_absent(self) -> None:
        nulls = dict.fromkeys(("model_name", "system_instruction", "config", "tools", "metadata"))
        message = {"role": "user", "content": "Hello", "function_call": None}
        intake = accept([message], tool_config=None, **nulls)
        assert intake == accept("Hello")

    def test_keeps_calls_and_responses(self) -> None:
        messages = [{"role": "user", "content": "?"}, CALL, {**CALL, "content": ""}, RESPONSE]
        assert accept(messages).messages == messages

    def test_gives_a_call_without_arguments_empty_ones(self) -> None:
        [call] = accept([{"role": "model", "function_call": {"name": "f"}}]).messages
        assert call["function_call"] == {"name": "f", "args": {}}

    @pytest.mark.parametrize(
        "messages",
        [
            pytest.param([{"role": "user", "content": ""}], id="empty-content"),
            pytest.param([{"role": "model", "content": "Hello"}], id="last-from-the-model"),
            pytest.param(
                [{"role": "user", "content": [{"type": "text", "text": ""}]}], id="empty-part"
            ),
        ],
    )
    def test_leaves_to_the_server_what_the_contract_does(self, messages: Any) -> None:
        assert accept(messages).messages == messages

    def test_keeps_the_whole_config(self) -> None:
        config = {
            "temperature": 2,
            "max_output_tokens": 256,
            "top_p": Decimal("0.95"),
            "top_k": 40,
            "presence_penalty": -2.0,
            "frequency_penalty": 2.0,
            "seed": -1,
            "stop_sequences": ["END"],
            "response_mime_type": "application/json",
            "response_json_schema": {"type": "object", "nullable": None},
        }
        kept = accept("Hello", config=config).config
        assert kept == {**config, "temperature": 2.0, "top_p": 0.95}
        assert isinstance(kept["temperature"], float)

    def test_brings_the_mime_type_of_a_schema(self) -> None:
        kept = accept("Hello", config={"response_json_schema": {}, "seed": None}).config
        assert kept == {"response_json_schema": {}, "response_mime_type": "application/json"}

    def test_keeps_tools_and_tool_config(self) -> None:
        calling = {"mode": "ANY", "allowed_function_names": ["g.h:i-j"]}
        intake = accept("Hello", tools=TOOLS, tool_config={"function_calling_config": calling})
        assert intake.tools == TOOLS
        assert intake.tool_config == {"function_calling_config": calling}

    def test_takes_its_own_result_again(self) -> None:
        first = accept([CALL, RESPONSE], tools=TOOLS, config={"temperature": 1}, metadata={"a": 1})
        names = ("model_name", "system_instruction", "config", "tools", "tool_config", "metadata")
        assert accept(first.messages, **{name: getattr(first, name) for name in names}) == first

    def test_tells_everything_that_is_wrong_at_once(self) -> None:
        errors = errors_of(
            [{"role": "system", "content": 1}], model_name="", config={"top_k": "x", "nope": 1}
        )
        assert list(errors) == [
            "model_name",
            "messages[0].role",
            "messages[0].content",
            "config.nope",
            "config.top_k",
        ]

    def test_leaves_the_caller_s_values_alone(self) -> None:
        messages = [{"role": "user", "content": "a\x00"}]
        accept(messages)
        assert messages == [{"role": "user", "content": "a\x00"}]


class TestText:
    def test_replaces_nul_and_lone_surrogates_everywhere(self) -> None:
        bad, good = "a\x00\ud83d", "a\ufffd\ufffd"
        intake = accept(
            [
                {"role": "user", "content": bad},
                {"role": "user", "content": [{"type": "text", "text": bad}]},
                {"role": "model", "function_call": {"name": "f", "args": {bad: [bad]}}},
            ],
            system_instruction=bad,
            config={"stop_sequences": [bad]},
            tools=[{"function_declarations": [{"name": "f", "description": bad}]}],
            metadata={bad: bad},
        )
        assert intake.messages[0]["content"] == good
        assert intake.messages[1]["content"][0]["text"] == good
        assert intake.messages[2]["function_call"]["args"] == {good: [good]}
        assert intake.system_instruction == good
        assert intake.config["stop_sequences"] == [good]
        assert intake.tools[0]["function_declarations"][0]["description"] == good
        assert intake.metadata == {good: good}
        assert intake.excerpt == good

    @pytest.mark.parametrize("text", ["Grüße", "😀", "\u2028", "\x1b[0m", "\ufffd", "e\u0301"])
    def test_leaves_other_text_as_it_is(self, text: str) -> None:
        assert accept(text).messages[0]["content"] == text

    def test_excerpts_the_last_text_of_the_user_on_one_line(self) -> None:
        messages = [
            {"role": "user", "content": "first"},
            {"role": "user", "content": [{"type": "text", "text": " the \n last " + "x" * 300}]},
            {"role": "model", "content": "an answer"},
            RESPONSE,
        ]
        excerpt = accept(messages).excerpt
        assert excerpt.startswith("the last xxx")
        assert len(excerpt) == 200

    def test_has_no_excerpt_without_text(self) -> None:
        assert accept([RESPONSE]).excerpt == ""


class TestLimits:
    def test_takes_values_as_deep_as_the_limit(self) -> None:
        assert accept("Hello", metadata={"a": nested(23)}).metadata["a"] == nested(23)

    def test_says_what_to_do_with_deeper_ones(self) -> None:
        rule = "Nests deeper than 24 levels; give the inner part as a string of JSON."
        assert errors_of(metadata={"a": nested(24)}) == {"metadata": [rule]}

    def test_refuses_more_text_than_the_limit(self) -> None:
        assert "Is too large" in errors_of("x" * (8 * 1024 * 1024 + 1))[""][0]

    def test_counts_all_text_together(self) -> None:
        half = "x" * (4 * 1024 * 1024)
        assert "" in errors_of(half, system_instruction=half, metadata={"a": "b"})

    def test_ends_on_values_that_hold_themselves(self) -> None:
        endless: dict[str, Any] = {}
        endless["a"] = endless
        assert "deeper than 24" in errors_of(metadata=endless)["metadata"][0]

    def test_ends_on_values_that_double_at_each_level(self, monkeypatch: Any) -> None:
        monkeypatch.setattr("creatify_textgen.intake.reading.MAX_CHARACTERS", 10_000)
        doubling: Any = "x"
        for _ in range(20):
            doubling = [doubling, doubling]
        assert "Is too large" in errors_of(metadata={"a": doubling})[""][0]

    @pytest.mark.parametrize("value", [0, "", None, {}, []], ids=repr)
    def test_refuses_more_values_than_anybody_needs(self, value: Any) -> None:
        assert "Is too large" in errors_of(metadata={"a": [value] * 200_000})[""][0]

    def test_refuses_more_messages_than_anybody_needs(self) -> None:
        empty = {"role": "user", "content": ""}
        assert "Is too large" in errors_of([empty] * 200_000)[""][0]

    def test_stops_after_so_many_wrong_fields(self) -> None:
        assert len(errors_of([None] * 100_000)) == 50

    def test_cuts_long_names_in_paths(self) -> None:
        [path] = errors_of(config={"x" * 10_000: 1})
        assert path == "config." + "x" * 40 + "…"

    def test_keeps_control_characters_out_of_errors(self) -> None:
        with pytest.raises(RequestError) as caught:
            accept([{"role": "\x1b[2J\nfake"}], config={"a\nb": 1}, metadata={"\r": float("nan")})
        assert str(caught.value).isprintable()
        assert all(path.isprintable() for path in caught.value.errors)

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN"), Decimal("sNaN")])
    def test_refuses_what_is_no_number(self, value: Any) -> None:
        assert "finite" in errors_of(metadata={"a": [value]})["metadata.a[0]"][0]
        assert "between 0.0" in errors_of(config={"temperature": value})["config.temperature"][0]

    @pytest.mark.parametrize("value", [b"x", {1}, object(), 1j], ids=["bytes", "set", "any", "1j"])
    def test_refuses_what_is_not_json(self, value: Any) -> None:
        assert "Must be JSON" in errors_of(metadata={"a": value})["metadata.a"][0]

    @pytest.mark.parametrize(
        "key", [1, None, ("a",), b"a", 10**5000], ids=["number", "none", "tuple", "bytes", "huge"]
    )
    def test_refuses_keys_that_are_no_strings(self, key: Any) -> None:
        assert "strings as keys" in errors_of(metadata={key: 1})["metadata"][0]
        assert errors_of(config={key: 1})
        assert errors_of([{"role": "user", "content": "x", key: 1}])


class TestSettings:
    @pytest.mark.parametrize("account", ["other", "", None, 3, ["default"]])
    def test_refuses_an_unknown_account(self, account: Any) -> None:
        assert "(default)" in errors_of(account=account)["account"][0]

    @override_settings(CREATIFY_TEXTGEN={"MODELS": ["a", "b"], "DEFAULT_MODEL": "b"})
    def test_takes_any_model_by_default(self) -> None:
        assert accept("Hello", model_name="m" * 255).model_name == "m" * 255
        assert accept("Hello").model_name == "b"

    @override_settings(CREATIFY_TEXTGEN={"MODELS": ["a", "b"], "RESTRICT_MODELS": True})
    def test_takes_only_listed_models_where_restricted(self) -> None:
        assert accept("Hello", model_name="a").model_name == "a"
        assert "one of a, b" in errors_of(model_name="c")["model_name"][0]


class TestReadBody:
    def test_returns_the_fields_that_are_there(self) -> None:
        body = request_body(sync=True, metadata={"a": 1})
        assert read_body(body) == body

    def test_takes_what_the_caller_takes_besides(self) -> None:
        body = request_body(extent="all")
        assert read_body(body, also=["extent"]) == body
        with pytest.raises(RequestError, match="extent"):
            read_body(body)
