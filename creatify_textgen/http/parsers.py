"""Parses request bodies strictly. Knows nothing about generations.

Invariant: for any bytes the result is a value or an error with a 4xx status.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from django.utils.http import parse_header_parameters
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import APIException, ParseError, UnsupportedMediaType
from rest_framework.parsers import DataAndFiles, JSONParser, MultiPartParser

__all__ = ["BodyTooLarge", "LengthRequired", "StrictJSONParser", "UploadParser"]

MAX_DEPTH = 200
"""Levels of brackets. `intake` allows fewer in each field."""
MAX_UPLOAD_BYTES = 100 * 1024 * 1024
"""The size of the largest video that the remote accepts."""
LONGEST_NUMBER = 18
MULTIPART_ROOM = 64 * 1024
"""Space for the headers and boundaries around the file."""


class BodyTooLarge(APIException):
    status_code = 413
    default_code = "body_too_large"

    @classmethod
    def for_setting(cls) -> BodyTooLarge:
        """Return an error that names the limit and says how to upload larger files."""
        return cls(
            "The body exceeds this site's DATA_UPLOAD_MAX_MEMORY_SIZE "
            f"({settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes). Upload images and videos to the "
            'route "media/" and put their id into the part as "media", instead of "data".'
        )


class LengthRequired(APIException):
    # Django reads as many bytes as Content-Length says, so a body without it would be empty.
    status_code = 411
    default_detail = _("The request needs a Content-Length header.")
    default_code = "length_required"


class StrictJSONParser(JSONParser):
    """Parses JSON as RFC 8259 defines it: UTF-8, finite numbers, unique names, limited depth."""

    # Without one, the form of a page is empty. It would have the fields of a response.
    renderer_class = None  # type: ignore[assignment]

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the value of the body.

        Raises: BodyTooLarge, ParseError; UnsupportedMediaType if its charset is not UTF-8.
        """
        _require_utf8(media_type or "")
        _require_allowed_length((parser_context or {}).get("request"))
        raw = stream.read()
        try:
            value = json.loads(
                raw.decode("utf-8-sig"),
                object_pairs_hook=_object_without_duplicates,
                parse_constant=_refuse_constant,
                parse_float=_finite,
            )
        except UnicodeDecodeError as error:
            raise ParseError("The body is not UTF-8.") from error
        except RecursionError as error:
            raise ParseError(TOO_DEEP) from error
        except ValueError as error:
            raise ParseError(f"The body is not valid JSON: {error}") from error
        # Each level needs a bracket, so the depth matters only if there are many brackets.
        if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _is_deeper_than(value, MAX_DEPTH):
            raise ParseError(TOO_DEEP)
        return value


class UploadParser(MultiPartParser):
    """Parses a form with files. Refuses one that is too large before it reads any of it."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> DataAndFiles[Any, Any]:
        """Return the form's fields and files. Raises: ParseError, BodyTooLarge."""
        request: HttpRequest = (parser_context or {})["request"]
        if content_length(request) > MAX_UPLOAD_BYTES + MULTIPART_ROOM:
            raise BodyTooLarge(_("A file may have at most 100 MB."))
        try:
            return super().parse(stream, media_type, parser_context)
        except RequestDataTooBig as error:
            raise BodyTooLarge(
                "The form's fields without the file exceed DATA_UPLOAD_MAX_MEMORY_SIZE "
                f"({settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes)."
            ) from error


TOO_DEEP = f"The body is nested deeper than {MAX_DEPTH} levels."


def content_length(request: HttpRequest) -> int:
    """Return the Content-Length in bytes, or 0 if it is missing or not a number."""
    stated = request.META.get("CONTENT_LENGTH") or ""
    # Python refuses to read a number of thousands of digits.
    return int(stated[:LONGEST_NUMBER]) if stated.isascii() and stated.isdigit() else 0


def _require_allowed_length(request: HttpRequest | None) -> None:
    # DRF reads the stream itself and so skips the check that Django makes in `request.body`.
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if request is not None and limit is not None and content_length(request) > limit:
        raise BodyTooLarge.for_setting()


def _require_utf8(media_type: str) -> None:
    _, parameters = parse_header_parameters(media_type)
    charset = parameters.get("charset", "utf-8").lower()
    if charset not in {"utf-8", "utf8", "us-ascii"}:
        raise UnsupportedMediaType(media_type, detail="JSON is read as UTF-8 only.")


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # What a reader makes of equal names is unpredictable (RFC 8259, 4).
    members = dict(pairs)
    if len(members) != len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"{twice!a} appears twice in one object")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return number


def _is_deeper_than(value: Any, limit: int) -> bool:
    level = [value]
    for _level in range(limit):
        level = [child for parent in level for child in _containers(parent)]
        if not level:
            return False
    return True


def _containers(parent: dict[str, Any] | list[Any]) -> list[Any]:
    children = parent.values() if isinstance(parent, dict) else parent
    return [child for child in children if isinstance(child, dict | list)]
