"""JSON values off the wire: what may be kept of them."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creatify_textgen import remote_ids
from creatify_textgen.remote import wire


class TestLoad:
    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "[" * 100_000,
            '{"a":' * 100_000,
            "{} {}",
            '"\x00"',
        ],
        ids=lambda text: text[:12],
    )
    def test_refuses_with_one_kind_of_error(self, text: str) -> None:
        with pytest.raises(ValueError, match="not readable"):
            wire.load(text)

    @pytest.mark.parametrize(
        "odd", ["NaN", "-Infinity", "Infinity", "9" * 5000, f"1e{'9' * 20}", f"-1.5e-{'9' * 20}"]
    )
    def test_reads_what_is_no_number_as_null(self, odd: str) -> None:
        assert wire.load(f'{{"text": "paid for", "cost": {odd}}}') == {
            "text": "paid for",
            "cost": None,
        }

    def test_does_not_keep_the_text_in_the_error(self) -> None:
        with pytest.raises(ValueError, match="not readable") as caught:
            wire.load("{secret")

        assert caught.value.__context__ is None
        assert caught.value.__cause__ is None

    def test_reads_bytes_with_a_mark_and_with_broken_utf8(self) -> None:
        assert wire.load(b'\xef\xbb\xbf{"a": "\xff"}') == {"a": "\ufffd"}

    @given(st.binary(max_size=60))
    def test_raises_nothing_else(self, body: bytes) -> None:
        with suppress(ValueError):
            wire.load(body)


class TestPlain:
    def test_makes_values_that_databases_take(self) -> None:
        value = wire.load('{"a\\u0000": [1.5, 1e400, "\\ud800", null, true, 7]}')

        assert wire.plain(value) == {"a\ufffd": [1.5, None, "\ufffd", None, True, 7]}

    def test_keeps_as_text_what_is_nested_too_deep(self) -> None:
        inner = '[1.5, "ü\\u0000", {"b": null}]'
        value = wire.load('{"a": ' * 28 + inner + ', "beside": 7}' + "}" * 27)

        kept = wire.plain(value)

        for _ in range(27):
            kept = kept["a"]
        assert kept == {"a": '[1.5, "ü\ufffd", {"b": null}]', "beside": 7}

    @pytest.mark.parametrize("levels", [29, 128, 129, 900])
    @pytest.mark.parametrize(("left", "right"), [("[", "]"), ('{"a":', "}")], ids=["[]", "{}"])
    def test_bounds_the_depth_and_the_work(self, levels: int, left: str, right: str) -> None:
        kept = json.dumps(wire.plain(wire.load(left * levels + "1" + right * levels)))

        assert kept.count("[") + kept.count("{") == min(levels, 128)
        assert ("too deep" in kept) is (levels > 128)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        )
    )
    def test_always_gives_strict_json(self, value: Any) -> None:
        try:
            loaded = wire.load(json.dumps(value))
        except ValueError:
            return

        json.dumps(wire.plain(loaded), allow_nan=False).encode()


class TestAmount:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("0.0005", "0.0005"),
            ("5e-05", "0.00005"),
            ("379.0", "379.0"),
            ("0", "0"),
            ("2", "2"),
            ("-0.5", "-0.5"),
            ('"0.00012345678"', "0.00012345678"),
            ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
        ],
    )
    def test_keeps_what_was_written(self, text: str, expected: str) -> None:
        assert wire.amount(wire.load(text)) == Decimal(expected)

    @pytest.mark.parametrize(
        "text",
        [
            "null",
            "true",
            "[]",
            '""',
            '"NaN"',
            '"Infinity"',
            '"many"',
            "1e12",
            "-1e12",
            "1e999999",
            "1e-1001",
            "1e-999999999",
        ],
    )
    def test_does_not_know_anything_else(self, text: str) -> None:
        assert wire.amount(wire.load(text)) is None

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("9999999999.99999", "9999999999.99999"),
            ("9999999999.999994", "9999999999.99999"),
            ("9999999999.999995", None),
            ("9999999999.99999999999", None),
            ("10000000000", None),
            ("1e10", None),
            ("99999999999", None),
        ],
    )
    def test_knows_no_charge_that_its_column_does_not_hold(
        self, text: str, expected: str | None
    ) -> None:
        assert wire.charge(wire.load(text)) == (expected and Decimal(expected))

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("0.0005", "0.0005"),
            ("5e-05", "0.00005"),
            ("0.30000000000000004", "0.3"),
            ("0.1234567890123456", "0.1234567890"),
            ("123456.12345678901", "123456.123456789"),
            ("0.00000000004", "0.0000000001"),
            ("0", "0"),
            ("-0.0", "0"),
        ],
    )
    def test_rounds_a_charge_to_what_every_database_keeps(self, text: str, expected: str) -> None:
        charge = wire.charge(wire.load(text))

        assert charge is not None
        assert f"{charge:.10f}" == f"{Decimal(expected):.10f}"
        assert Decimal(repr(float(charge))) == charge

    def test_does_not_believe_a_negative_charge(self) -> None:
        assert wire.charge(-1) is None
        assert wire.charge(0) == 0
        assert wire.charge(None) is None


class TestWord:
    @pytest.mark.parametrize(
        ("written", "word"),
        [
            ("STOP", "STOP"),
            ("stop", "STOP"),
            ("FinishReason.STOP", "STOP"),
            ("types.FinishReason.max_tokens", "MAX_TOKENS"),
            (" max tokens ", "MAX_TOKENS"),
            ("max-tokens", "MAX_TOKENS"),
            ("", ""),
            (None, ""),
            (7, ""),
            ("It ended.", "It ended."),
            ("\x00", "\ufffd"),
        ],
    )
    def test_is_read_without_case_and_prefix(self, written: Any, word: str) -> None:
        assert wire.word(written) == word


class TestWritten:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ('"text"', "text"),
            ("null", ""),
            ("12", "12"),
            ("0.5", "0.5"),
            ("false", "false"),
            ('{"a": ["ü", 1.5]}', '{"a": ["ü", 1.5]}'),
            ("[]", "[]"),
        ],
    )
    def test_keeps_other_types_as_json(self, value: str, expected: str) -> None:
        assert wire.written(wire.load(value)) == expected


class TestMoment:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("2023-11-07T05:31:56Z", datetime(2023, 11, 7, 5, 31, 56, tzinfo=UTC)),
            (
                "2026-10-03T13:43:28.855601-07:00",
                datetime(2026, 10, 3, 20, 43, 28, 855601, tzinfo=UTC),
            ),
        ],
    )
    def test_turns_offsets_into_utc(self, text: str, expected: datetime) -> None:
        assert wire.moment(text) == expected
        assert str(wire.moment(text)).endswith("+00:00")

    @pytest.mark.parametrize(
        "value", [None, 7, "", "soon", "2026-10-03T13:43:28", "0001-01-01T00:00:00+14:00"]
    )
    def test_knows_no_time_without_an_offset(self, value: Any) -> None:
        assert wire.moment(value) is None

    @pytest.mark.parametrize("year", ["0001", "1970", "9999"])
    def test_knows_no_time_in_a_year_that_no_generation_has(self, year: str) -> None:
        assert wire.moment(f"{year}-01-01T00:00:00Z") is None


class TestIdentifier:
    @pytest.mark.parametrize(
        "value", ["a1b2c3d4-5678-90ab-cdef-1234567890ab", "x", "7.1:a_B", 7], ids=str
    )
    def test_takes_what_may_stand_in_a_path(self, value: Any) -> None:
        assert remote_ids.identifier(value) == str(value)

    def test_knows_a_uuid_however_it_is_written(self) -> None:
        same = "a1b2c3d4-5678-90ab-cdef-1234567890ab"
        bare = same.replace("-", "")
        forms = [same.upper(), bare, bare.upper(), f"{{{same}}}", f"{{{bare}}}", f"urn:uuid:{same}"]
        assert {remote_ids.identifier(form) for form in forms} == {same}
        assert [remote_ids.other_form(form) for form in [same, *forms]] == ["", *forms]

    @pytest.mark.parametrize("value", ["X1", "0" * 31, "a1b2-c3", "{a1}", 7])
    def test_leaves_other_ids_as_they_are(self, value: Any) -> None:
        expected = None if value == "{a1}" else str(value)
        assert (remote_ids.identifier(value), remote_ids.other_form(value)) == (expected, "")

    @pytest.mark.parametrize(
        "value",
        [None, True, "", ".", "..", "a/b", "a b", "a\n", "é", "a" * 65, -1, 10**64, 1.5, {}, "?a"],
        ids=repr,
    )
    def test_refuses_the_rest(self, value: Any) -> None:
        assert remote_ids.identifier(value) is None
