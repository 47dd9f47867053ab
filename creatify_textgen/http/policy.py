"""What all our views have in common: who is let in, what is spoken, how errors look.

The host keeps its say in authentication and throttling. The form of bodies is ours, so that
a client written for the remote works whatever the host's defaults are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.urls import reverse
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from creatify_textgen.http.errors import render_error
from creatify_textgen.http.parsers import LengthRequired, StrictJSONParser, content_length
from creatify_textgen.http.permissions import MayOperate

__all__ = ["Endpoint"]


class FirstOffered(BaseContentNegotiation):
    """Answers in the view's one form whatever Accept says: an <img> asks for images only, and
    an EventSource for `text/event-stream`.
    """

    def select_parser(self, request: Request, parsers: Any) -> Any:
        stated = (request.content_type or "").split(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == stated), None)

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class Endpoint(APIView):
    """What every view of the HTTP doors is, viewset or not."""

    permission_classes = [IsAuthenticated, MayOperate]
    parser_classes = [StrictJSONParser]
    renderer_classes = [JSONRenderer]
    content_negotiation_class = FirstOffered
    # A host's version in namespaces or paths would refuse paths that carry none.
    versioning_class = None
    metadata_class = None
    http_method_names = ["get", "head", "post"]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.headers.get("Transfer-Encoding") and not content_length(request):
            raise LengthRequired

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response | None]:
        return render_error

    def path_to(self, name: str, key: UUID) -> str:
        """Return the path of one of our rows, where the host has mounted us."""
        # Perhaps under a namespace of its own, within another.
        match = self.request.resolver_match
        namespaces = match.namespaces if match else []
        return reverse(":".join([*namespaces, name]), args=[key])
