from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import Group, User
from django.core.exceptions import (
    ObjectDoesNotExist,
    PermissionDenied,
    RequestDataTooBig,
    TooManyFieldsSent,
)
from django.http import Http404
from rest_framework.exceptions import (
    APIException,
    MethodNotAllowed,
    NotAuthenticated,
    ParseError,
    Throttled,
    ValidationError,
)
from rest_framework.renderers import JSONRenderer

from creatify_textgen.chat import Run
from creatify_textgen.exceptions import (
    ContractError,
    RateLimitedError,
    RemoteError,
    RemoteRejectedError,
    RemoteUnavailableError,
    RequestError,
    StreamError,
    TransitionError,
)
from creatify_textgen.http.errors import render_error
from creatify_textgen.models import Generation, Media


class TestRenderError:
    @pytest.mark.parametrize(
        ("error", "status", "code"),
        [
            (RequestError("No."), 400, "invalid_request"),
            (RequestError("No.", code="idempotency_conflict"), 409, "idempotency_conflict"),
            (TransitionError("No.", code="not_cancellable"), 409, "not_cancellable"),
            (RateLimitedError("No."), 429, "rate_limited"),
            (RemoteRejectedError("No."), 400, "invalid_request"),
            (RemoteRejectedError("No.", code="authentication"), 502, "authentication"),
            (RemoteRejectedError("No.", code="insufficient_credits"), 402, "insufficient_credits"),
            (RemoteUnavailableError("No.", status=503), 503, "remote_unavailable"),
            (RemoteUnavailableError("No.", request_sent=False), 503, "remote_unavailable"),
            (RemoteUnavailableError("No."), 504, "remote_unavailable"),
            (ContractError("No."), 502, "unreadable_answer"),
            (RemoteError("No."), 502, "remote_error"),
            (StreamError("No."), 502, "stream_interrupted"),
        ],
    )
    def test_gives_each_of_ours_its_status(self, error: Exception, status: int, code: str) -> None:
        response = render_error(error, {})
        assert (response.status_code, response.data["code"]) == (status, code)
        assert response.data["error"] == "No."

    @pytest.mark.parametrize(
        ("error", "status", "code"),
        [
            (NotAuthenticated(), 403, "not_authenticated"),
            (PermissionDenied(), 403, "permission_denied"),
            (Http404(), 404, "not_found"),
            (MethodNotAllowed("PUT"), 405, "method_not_allowed"),
            (ParseError(), 400, "parse_error"),
            (Throttled(wait=3), 429, "throttled"),
            (RequestDataTooBig("…"), 413, "body_too_large"),
            (TooManyFieldsSent("Too many."), 400, "parse_error"),
        ],
    )
    def test_gives_the_framework_the_same_body(
        self, error: Exception, status: int, code: str
    ) -> None:
        if isinstance(error, NotAuthenticated):
            error.status_code = 403  # as DRF does if no authentication has a challenge
        response = render_error(error, {})
        assert (response.status_code, response.data["code"]) == (status, code)
        assert response.data["error"] == response.data["detail"] != ""

    def test_names_the_fields_of_a_validation(self) -> None:
        response = render_error(ValidationError({"status": ["Not one of them."]}), {})
        assert response.data["errors"] == {"status": ["Not one of them."]}
        assert response.data["error"] == "status: Not one of them."

    def test_takes_a_validation_without_fields(self) -> None:
        response = render_error(ValidationError(["Wrong."]), {})
        assert response.data["errors"] == {"": ["Wrong."]}
        assert response.data["error"] == "Wrong."

    def test_takes_a_validation_of_nested_fields(self) -> None:
        nested = {"address": {"city": ["Unknown."]}, "lines": [{}, {"price": ["Too low."]}]}
        response = render_error(ValidationError({**nested, "empty": []}), {})
        assert response.data["errors"] == {
            "address": ["Unknown."],
            "lines": ["Too low."],
            "empty": [],
        }
        assert response.data["error"] == "address: Unknown.; lines: Too low."

    def test_names_the_setting_and_the_upload_route(self) -> None:
        text = render_error(RequestDataTooBig("…"), {}).data["error"]
        assert "DATA_UPLOAD_MAX_MEMORY_SIZE" in text
        assert "media/" in text

    def test_keeps_the_remotes_wait(self) -> None:
        assert render_error(RateLimitedError("No.", retry_after=1.2), {})["Retry-After"] == "2"

    def test_keeps_the_throttles_wait(self) -> None:
        assert render_error(Throttled(wait=3), {})["Retry-After"] == "3"

    def test_leaves_a_bug_alone(self) -> None:
        assert render_error(ZeroDivisionError(), {}) is None

    def test_is_404_for_a_row_of_ours_that_was_deleted(self) -> None:
        for model in (Generation, Media, Run):
            response = render_error(model.DoesNotExist(), {})
            assert (response.status_code, response.data["code"]) == (404, "not_found")

    def test_hides_no_missing_row_of_the_host(self) -> None:
        missing = Generation.owner.RelatedObjectDoesNotExist
        for error in (User.DoesNotExist(), Group.DoesNotExist(), missing(), ObjectDoesNotExist()):
            assert render_error(error, {}) is None

    def test_leaves_a_servers_error_its_status(self) -> None:
        assert render_error(APIException(), {}).status_code == 500

    def test_can_be_sent_whatever_the_field_was_called(self) -> None:
        error = RequestError("\udc80?", errors={"\ud800": ["Unknown \udfff."]})
        sent = JSONRenderer().render(render_error(error, {}).data)
        assert json.loads(sent)["errors"] == {"?": ["Unknown ?."]}
