"""Every shape of an error's body, and what must never get out of one."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from creatify_textgen import exceptions
from creatify_textgen.remote.refusals import parse_error, parse_retry_after
from tests.unit.remote.samples import sample

SHAPES: dict[str, dict[str, Any]] = json.loads(sample("errors.json"))
NOW = datetime(2026, 11, 22, 17, 0, 0, tzinfo=UTC)


class TestParseError:
    @pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
    def test_knows_every_shape(self, shape: dict[str, Any]) -> None:
        error = parse_error(shape["status"], {}, shape["body"].encode())

        assert type(error) is getattr(exceptions, shape["error"])
        assert (error.status, error.code, error.request_sent) == (
            shape["status"],
            shape["code"],
            True,
        )
        assert error.excerpt == shape["body"][:500]

    @pytest.mark.parametrize(
        ("reason", "code"),
        [
            ("Function call is missing a thought_signature in parts.", "missing_thought_signature"),
            (
                "messages[1].function_call.thoughtSignature: Unknown field.",
                "missing_thought_signature",
            ),
            ("Function response must carry the id of its function call.", "missing_call_id"),
            ("messages[2].function_response.id: Unknown field.", "missing_call_id"),
            ("function_call: invalid", "invalid_request"),
            ("Function calling config is set without function_declarations.", "invalid_request"),
        ],
    )
    def test_knows_what_is_refused_of_a_call(self, reason: str, code: str) -> None:
        assert parse_error(400, {}, json.dumps({"error": reason}).encode()).code == code

    def test_says_nothing_that_the_remote_wrote(self) -> None:
        error = parse_error(400, {}, b'{"error": "your prompt was: secret"}')

        assert "secret" not in str(error)
        assert "secret" in error.excerpt

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            ('{"error": "Model not found."}', "Model not found."),
            ('{"detail": "No."}', "No."),
            ('{"error": {"code": 400, "message": "No.", "status": "X"}}', "No."),
            (
                '{"link": ["Invalid."], "model_name": ["A.", "B."]}',
                "link: Invalid. model_name: A. B.",
            ),
            ('{"non_field_errors": ["No."]}', "No."),
            ('["AI model not found"]', "AI model not found"),
            ("Method Not Allowed", "Method Not Allowed"),
            ("<html><h1>502</h1></html>", ""),
            ("", ""),
            ("null", ""),
            ('{"error": "bad KEY&1"}', "bad [redacted]"),
        ],
    )
    def test_gives_the_remotes_own_words(self, body: str, reason: str) -> None:
        error = parse_error(400, {}, body.encode(), secrets=["KEY&1"])

        assert error.reason == reason
        assert error.explanation.startswith(str(error))
        assert error.explanation.endswith(reason)

    def test_keeps_five_hundred_characters(self) -> None:
        error = parse_error(400, {}, ("ü" * 10_000).encode())

        assert (len(error.excerpt), len(error.reason)) == (500, 500)

    @pytest.mark.parametrize(
        "written",
        [
            "https://site.example/hooks/T/k+n/",
            r"https:\/\/site.example\/hooks\/T\/k+n\/",
            "https%3A%2F%2Fsite.example%2Fhooks%2FT%2Fk%2Bn%2F",
        ],
    )
    def test_redacts_secrets_however_they_are_written(self, written: str) -> None:
        error = parse_error(
            400, {}, f"no: {written} KEY&1 KEY&amp;1 x".encode(), secrets=SECRETS_OF_A_REQUEST
        )

        assert error.excerpt == "no: [redacted] [redacted] [redacted] x"

    def test_redacts_before_it_cuts(self) -> None:
        error = parse_error(400, {}, b"x" * 495 + b"KEY&1 and more", secrets=["KEY&1"])

        assert "KEY" not in error.excerpt

    def test_names_where_a_redirect_leads(self) -> None:
        error = parse_error(
            307,
            {"location": "http://user:KEY1@other.example/sse/KEY1/?k=KEY1"},
            b"",
            secrets=["KEY1"],
        )

        assert "http://other.example/sse/[redacted]/" in str(error)
        assert "KEY1" not in str(error)
        assert "user" not in str(error)

    @pytest.mark.parametrize("location", ["", "http://[", "\x00"])
    def test_survives_a_broken_location(self, location: str) -> None:
        assert parse_error(302, {"location": location}, b"").status == 302

    @pytest.mark.parametrize("status", [429, 503])
    def test_reads_how_long_to_wait(self, status: int) -> None:
        assert parse_error(status, {"retry-after": "7"}, b"").retry_after == 7


SECRETS_OF_A_REQUEST = ("https://site.example/hooks/T/k+n/", "KEY&1", "")


ECHO = {"model_name": "m", "messages": [{"role": "user", "content": "hi"}], "config": {}}
GENERATION = {"id": "r1", **ECHO, "status": "pending", "response_text": ""}
ASKED = "https://api.example/sse/text_generator/"


class TestAcceptance:
    """An answer with any status that names a generation: the remote has accepted it."""

    @pytest.mark.parametrize(
        "body",
        [
            json.dumps(GENERATION),
            json.dumps(GENERATION | {"status": "failed", "failed_reason": "blocked"}),
            json.dumps(GENERATION | {"status": "in_queue"}),
            json.dumps(GENERATION | {"error": "the gateway gave up"}),
            json.dumps({"status": "Status.RUNNING", "id": "r1"}),
            json.dumps({"error": "busy", "generation": GENERATION}),
            json.dumps({"error": GENERATION}),
            json.dumps([GENERATION]),
            json.dumps(GENERATION) + "<!-- from a proxy -->",
            json.dumps({"id": "r1", "system_instruction": "x" * 40_000, "status": "done"}),
            json.dumps(GENERATION)[:40],
            '{"id": "r1"',
        ],
        ids=[
            *("whole", "failed", "other word", "with an error", "short", "inside", "as error"),
            *("listed", "with more", "long", "cut off", "cut off at once"),
        ],
    )
    @pytest.mark.parametrize("status", [302, 400, 402, 429, 500, 503])
    def test_is_read_from_the_body(self, status: int, body: str) -> None:
        assert parse_error(status, {}, body.encode(), url=ASKED).accepted_as == "r1"

    @pytest.mark.parametrize("name", ["location", "content-location"])
    @pytest.mark.parametrize(
        "place",
        [
            "r1/",
            "/sse/text_generator/r1/",
            "/sse/text_generator/r1?format=json",
            "/api/text_generator/r1/",
            "http://api.example:8000/sse/text_generator/r1",
        ],
    )
    @pytest.mark.parametrize("status", [303, 402, 503])
    def test_is_read_from_where_the_head_points(self, status: int, name: str, place: str) -> None:
        assert parse_error(status, {name: place}, b"", url=ASKED).accepted_as == "r1"

    @pytest.mark.parametrize("prefix", ["", "/proxy"])
    def test_is_read_behind_a_prefix(self, prefix: str) -> None:
        place = {"location": f"{prefix}/sse/text_generator/r1/"}
        asked = "https://api.example/proxy/sse/text_generator/stream/"
        assert parse_error(303, place, b"", url=asked).accepted_as == "r1"

    @pytest.mark.parametrize(
        "body",
        [
            "",
            "Service Unavailable",
            "4711",
            '{"error": "busy", "id": "e1"}',
            '{"error": {"id": "e1", "status": "UNAVAILABLE", "code": 503}}',
            '{"id": "e1", "status": 400, "error": "bad"}',
            '{"id": "e1", "status": "failed", "error": "bad"}',
            '{"id": "e1", "error": "cut',
            '{"id": null, "status": "failed"}',
            '[{"id": "r1", "status": "done"}, {"id": "r2", "status": "done"}]',
            json.dumps({"id": "e1", **ECHO}),
            json.dumps({"id": "e1", "error": "bad", **ECHO}),
            json.dumps({"id": "e1", "status": "error", "detail": "bad", **ECHO}),
            json.dumps({"error": "bad", "request": {"id": "e1", **ECHO}}),
            json.dumps({"error": "bad", "config": {"id": "o1", "status": "done"}}),
            json.dumps({"error": "bad", "messages": [{"id": "o1", "status": "done"}]}),
        ],
    )
    @pytest.mark.parametrize("status", [400, 429, 503])
    def test_is_not_read_into_an_error(self, status: int, body: str) -> None:
        assert parse_error(status, {}, body.encode(), url=ASKED).accepted_as == ""

    @pytest.mark.parametrize("name", ["location", "content-location"])
    @pytest.mark.parametrize(
        "place",
        [
            "",
            "http://[",
            "/sse/text_generator/",
            "/sse/text_generator/?page=2",
            "/sse/text_generator/stream/",
            "/sse/text_generator/errors/400/",
            "/sse/text_generator/docs",
            "https://docs.example/sse/text_generator/r1/",
            "https://api.example/login/?next=/sse/text_generator/r1/",
            "/elsewhere/r1/",
            "/elsewhere/sse/text_generator/r1/",
        ],
    )
    def test_is_not_read_into_where_an_error_points(self, name: str, place: str) -> None:
        assert parse_error(307, {name: place}, b"", url=ASKED).accepted_as == ""


class TestEcho:
    """An error may repeat what the user asked."""

    def test_does_not_mean_that_credits_are_missing(self) -> None:
        asked = {"messages": [{"role": "user", "content": "How do credits work?"}]}
        body = json.dumps({"error": "Unknown model.", **asked, "request": asked})
        assert parse_error(400, {}, body.encode()).code == "invalid_request"

    def test_may_stand_beside_missing_credits(self) -> None:
        body = {"error": "Payment required", "reason": ["No\ncredits left."], "messages": []}
        assert parse_error(400, {}, json.dumps(body).encode()).code == "insufficient_credits"


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({}, None),
            ({"retry-after": ""}, None),
            ({"retry-after": "0"}, 0),
            ({"retry-after": " 120 "}, 120),
            ({"retry-after": "1.5"}, 1.5),
            ({"retry-after": "-1"}, None),
            ({"retry-after": "9" * 400}, None),
            ({"retry-after": "soon"}, None),
            ({"retry-after": "Sun, 22 Nov 2026 17:00:30 GMT"}, 30),
            ({"retry-after": "Sun, 22 Nov 2026 16:00:00 GMT"}, 0),
            (
                {
                    "retry-after": "Sun, 22 Nov 2026 17:00:30 GMT",
                    "date": "Sun, 22 Nov 2026 17:00:20 GMT",
                },
                10,
            ),
        ],
        ids=str,
    )
    def test_reads_seconds_and_dates(self, headers: dict[str, str], seconds: float | None) -> None:
        assert parse_retry_after(headers, now=NOW) == seconds

    def test_does_not_guess_without_a_clock(self) -> None:
        headers = {"retry-after": "Sun, 22 Nov 2026 17:00:30 GMT"}

        assert parse_retry_after(headers, now=None) is None
