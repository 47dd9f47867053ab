"""The vendor's paths."""

from __future__ import annotations

import pytest

from creatify_textgen.emulator.requests.routes import find_route
from tests.unit.emulator.builders import GENERATION_ID


class TestFindRoute:
    @pytest.mark.parametrize(
        ("path", "method", "kind"),
        [
            ("/sse/text_generator/", "POST", "create"),
            ("/sse/text_generator/", "GET", "list"),
            ("/sse/text_generator/stream/", "POST", "stream"),
            ("/sse/text_generator/stream/", "GET", ""),
            (f"/sse/text_generator/{GENERATION_ID}/", "GET", "get"),
            (f"/sse/text_generator/{GENERATION_ID.upper()}/", "GET", "get"),
            (f"/sse/text_generator/{GENERATION_ID}/", "DELETE", ""),
            (f"/api/text_generator/{GENERATION_ID}/", "GET", "get"),
            ("/api/remaining_credits/", "GET", "credits"),
            ("/api/remaining_credits/", "POST", ""),
        ],
    )
    def test_knows_what_a_request_is(self, path: str, method: str, kind: str) -> None:
        route = find_route(path, legacy_paths=True)
        assert route is not None
        assert route.kind(method) == kind

    @pytest.mark.parametrize(
        "path", ["/", "/sse/", "/sse/text_generator/not-a-uuid/", "/api/text_generator/stream/"]
    )
    def test_knows_no_other_path(self, path: str) -> None:
        assert find_route(path, legacy_paths=True) is None

    def test_leaves_out_the_older_twin_where_it_is_switched_off(self) -> None:
        assert find_route("/api/text_generator/", legacy_paths=False) is None
        assert find_route("/api/remaining_credits/", legacy_paths=False) is not None

    def test_notices_a_missing_slash(self) -> None:
        route = find_route("/sse/text_generator", legacy_paths=True)
        assert route is not None
        assert not route.slashed
