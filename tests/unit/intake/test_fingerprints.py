"""What counts as the same request, at the remote and under an idempotency key."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creatify_textgen.intake import accept, fingerprint, media_digests, texts_digest
from creatify_textgen.recovery.matching import fingerprint_of, fingerprints_of
from creatify_textgen.remote.protocol import parse_generation

MODEL = "gemini-2.5-flash"
DIGEST = "a" * 64
IMAGE = {"type": "image", "mime_type": "image/png", "media": "1", "sha256": DIGEST}
ECHO = {"type": "image", "mime_type": "image/png"}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.decimals(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)


def hashed(content: Any = "Hello", *, system: Any = "", config: Any = None, **fields: Any) -> str:
    message = {"role": "user", "content": content, **fields}
    return fingerprint(MODEL, [message], system, config)


class TestSame:
    @pytest.mark.parametrize(
        ("ours", "echo"),
        [
            pytest.param({}, {"function_call": None, "function_response": None}, id="nulls"),
            pytest.param({}, {"config": {"temperature": None}}, id="config-nulls"),
            pytest.param({}, {"config": {"stop_sequences": []}}, id="config-empty"),
            pytest.param({}, {"config": {"response_mime_type": "text/plain"}}, id="default"),
            pytest.param({}, {"config": {"candidate_count": 1}}, id="fields-of-theirs"),
            pytest.param({}, {"system": None}, id="system-null"),
            pytest.param({"system": "Be kind. "}, {"system": "Be kind."}, id="system-trimmed"),
            pytest.param({"content": " Hello\n"}, {"content": "Hello"}, id="content-trimmed"),
            pytest.param(
                {"content": "Hello"}, {"content": [{"type": "text", "text": "Hello"}]}, id="parts"
            ),
            pytest.param({"content": [IMAGE]}, {"content": [ECHO]}, id="media-without-bytes"),
            pytest.param(
                {"content": [IMAGE]}, {"content": [{**ECHO, "data": "AAAA"}]}, id="media-with-bytes"
            ),
            pytest.param(
                {"config": {"temperature": 0.8, "top_k": 1}},
                {"config": {"top_k": 1.0, "temperature": Decimal("0.80")}},
                id="numbers-and-order",
            ),
            pytest.param(
                {"content": None, "function_call": {"name": "f", "args": {}}},
                {"content": "", "function_call": {"args": None, "name": "f"}},
                id="call-without-arguments",
            ),
            pytest.param(
                {"function_call": {"name": "f", "args": {"a": 5e-05, "b": {"c": 1, "d": 2}}}},
                {"function_call": {"name": "f", "args": {"b": {"d": 2, "c": 1}, "a": 0.00005}}},
                id="arguments",
            ),
            pytest.param(
                {"config": {"response_json_schema": {"type": "object"}}},
                {
                    "config": {
                        "response_json_schema": {"type": "object"},
                        "response_mime_type": "application/json",
                    }
                },
                id="schema-brings-its-type",
            ),
        ],
    )
    def test_does_not_mind_what_an_echo_may_change(self, ours: Any, echo: Any) -> None:
        assert hashed(**ours) == hashed(**echo)

    def test_matches_an_echo_of_what_was_accepted(self) -> None:
        intake = accept(
            [
                {"role": "user", "content": "Grüße \x00"},
                {"role": "model", "function_call": {"name": "f"}},
                {"role": "user", "function_response": {"name": "f", "response": {"x": [1, None]}}},
            ],
            system_instruction="Be kind.",
            config={"temperature": 1, "response_json_schema": {"type": "object"}},
        )
        echo = json.loads(json.dumps(intake.messages), parse_float=Decimal)
        again = fingerprint(
            intake.model_name, echo, "Be kind.", json.loads(json.dumps(intake.config))
        )
        assert again == intake.fingerprint


class TestDifferent:
    @pytest.mark.parametrize(
        "other",
        [
            pytest.param({"content": "Hello!"}, id="content"),
            pytest.param({"content": "hello"}, id="case"),
            pytest.param({"role": "model"}, id="role"),
            pytest.param({"system": "Be kind."}, id="system"),
            pytest.param({"config": {"temperature": 0}}, id="config-zero"),
            pytest.param({"content": [ECHO]}, id="media"),
            pytest.param({"function_call": {"name": "f", "args": {}}}, id="call"),
        ],
    )
    def test_minds_what_was_asked(self, other: Any) -> None:
        assert hashed(**other) != hashed()

    def test_minds_the_order_of_parts(self) -> None:
        parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
        assert hashed(parts) != hashed(parts[::-1])

    def test_tells_true_from_one(self) -> None:
        call = {"name": "f", "args": {"a": True}}
        one = {"name": "f", "args": {"a": 1}}
        assert hashed(function_call=call) != hashed(function_call=one)


class TestKey:
    """`SECRET_KEY`, so that a saved fingerprint confirms no guess."""

    def test_changes_the_fingerprint(self, settings: Any) -> None:
        before = hashed()
        settings.SECRET_KEY = "another-key-of-some-length"
        assert hashed() != before

    def test_still_matches_where_it_was_rotated_out(self, settings: Any) -> None:
        made = hashed()
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another-key-of-some-length"
        echo = {"role": "user", "content": "Hello"}
        remote = parse_generation({"id": "r", "model_name": MODEL, "messages": [echo]})
        assert fingerprints_of(remote) == (hashed(), made)

    def test_plays_no_part_in_what_is_only_compared_in_memory(self, settings: Any) -> None:
        before = texts_digest("Hello", "")
        settings.SECRET_KEY = "another-key-of-some-length"
        assert texts_digest("Hello", "") == before


class TestHostileEcho:
    @given(VALUES, VALUES, VALUES, VALUES)
    def test_never_raises(self, model: Any, messages: Any, system: Any, config: Any) -> None:
        assert len(fingerprint(model, messages, system, config)) == 64

    @given(st.lists(st.dictionaries(st.sampled_from(["role", "content", "function_call"]), VALUES)))
    def test_never_raises_for_wrong_messages(self, messages: Any) -> None:
        assert len(fingerprint(MODEL, messages, "", {})) == 64
        media_digests(messages)

    def test_survives_depth_and_huge_numbers(self) -> None:
        deep: Any = 10**400
        for _ in range(900):
            deep = [deep]
        call = {"name": "f", "args": {"deep": deep, "huge": 10**400, "nan": Decimal("sNaN")}}
        assert hashed(deep, function_call=call)

    def test_is_known_again_in_the_echo_of_the_deepest_request(self) -> None:
        deep = json.loads('{"a":' * 24 + "1.50" + "}" * 24)
        asked: dict[str, Any] = {
            "model_name": MODEL,
            "messages": [{"role": "model", "function_call": {"name": "f", "args": deep}}],
            "config": {"response_json_schema": deep},
        }
        echo = parse_generation(json.dumps({"id": "r1", "system_instruction": "", **asked}))
        assert fingerprint_of(echo) == accept(**asked).fingerprint


class TestMediaDigests:
    def test_returns_one_for_each_medium_in_order(self) -> None:
        messages = [
            {"role": "user", "content": [{"type": "text", "text": "x"}, IMAGE, ECHO]},
            {"role": "user", "content": "x"},
            {"role": "user", "content": [{"type": "video", "sha256": "b" * 64}]},
        ]
        assert media_digests(messages) == [DIGEST, None, "b" * 64]


class TestRequestHash:
    def test_is_the_same_for_the_same_request(self) -> None:
        first = accept("Hello", config={"temperature": 1, "top_k": 2}, metadata={"a": 1, "b": 2})
        again = accept(
            [{"content": "Hello", "role": "user"}],
            config={"top_k": 2, "temperature": 1.0},
            metadata={"b": 2, "a": 1},
        )
        assert first.request_hash == again.request_hash

    @pytest.mark.parametrize(
        "other",
        [
            {"metadata": {"a": 1}},
            {"tools": [{"function_declarations": [{"name": "f"}]}]},
            {"model_name": "gemini-2.5-pro"},
            {"system_instruction": " "},
        ],
        ids=lambda other: next(iter(other)),
    )
    def test_minds_every_field(self, other: Any) -> None:
        assert accept("Hello", **other).request_hash != accept("Hello").request_hash
