"""What all our views have in common: permissions, the form of bodies, the form of errors.

The host decides on authentication and throttling, and its default permissions hold beside ours.
This app decides on the form of bodies, so that a client written for the remote works with any
defaults of the host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.urls import reverse
from rest_framework import exceptions
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from creatify_textgen.http.errors import render_error
from creatify_textgen.http.metadata import Capabilities
from creatify_textgen.http.parsers import LengthRequired, StrictJSONParser, content_length
from creatify_textgen.http.permissions import MayOperate, MaySpend
from creatify_textgen.models import Generation

__all__ = ["Endpoint", "KindOfCall"]


KindOfCall = Literal["create", "read", "upload", "refresh"]
"""What a call costs: credits, nothing, storage, or one request to the remote."""


class JSONUnlessPage(BaseContentNegotiation):
    """Answers with JSON, or with DRF's page if the host has it and the caller asks for HTML.

    Other values of Accept are ignored: an <img> accepts only images, and an EventSource only
    `text/event-stream`, also for errors.
    """

    def select_parser(self, request: Request, parsers: Any) -> Any:
        stated = (request.content_type or "").split(";")[0].strip().lower()
        if found := next((parser for parser in parsers if parser.media_type == stated), None):
            return found
        wanted = ", ".join(parser.media_type for parser in parsers)
        text = f"Send the body as {wanted}, not as {stated[:100] or 'an unknown type'}."
        raise exceptions.UnsupportedMediaType(stated, detail=text)

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        chosen = next((one for one in renderers[1:] if _asks_for(one, request)), renderers[0])
        return chosen, chosen.media_type


def _asks_for(renderer: Any, request: Request) -> bool:
    # The page's own menu writes `?format=json`.
    if named := request.query_params.get(api_settings.URL_FORMAT_OVERRIDE or ""):
        return bool(named == renderer.format)
    accepted = request.headers.get("Accept", "").lower().split(",")
    return renderer.media_type in [kind.partition(";")[0].strip() for kind in accepted]


@contextmanager
def _refusals_of_the_framework() -> Iterator[None]:
    """Translate what a permission of the host may raise.

    `OPTIONS` and the page of the browsable API ask for each method, and take only DRF's own
    errors for a no.
    """
    try:
        yield
    except PermissionDenied as error:
        raise exceptions.PermissionDenied(*error.args) from error
    except Http404 as error:
        raise exceptions.NotFound(*error.args) from error


class Endpoint(APIView):
    """The base class of all views of the HTTP doors."""

    permission_classes = [IsAuthenticated, MaySpend, MayOperate]
    # Permissions of the host such as DjangoModelPermissions ask a view for its model.
    queryset: Any = Generation.objects.none()
    kind_of_call: KindOfCall = "read"
    parser_classes = [StrictJSONParser]
    has_page = True
    """Whether it has a page of the browsable API, on a host that has that."""
    streams: Sequence[str] = ()
    """Media types that it sends beside those of its renderers."""
    content_negotiation_class = JSONUnlessPage
    # If the host puts versions into namespaces or paths, our paths without one would be refused.
    versioning_class = None
    metadata_class = Capabilities
    http_method_names = ["get", "head", "post", "options"]

    @property
    def renderer_classes(self) -> list[Any]:  # type: ignore[override]
        """JSON, then the host's page of the browsable API if it has one."""
        defaults: Any = api_settings.DEFAULT_RENDERER_CLASSES
        pages = [one for one in defaults if issubclass(one, BrowsableAPIRenderer)]
        return [JSONRenderer, *pages[:1]] if self.has_page else [JSONRenderer]

    @property
    def throttle_scope(self) -> str | None:
        """The scope of `ScopedRateThrottle`, such as `textgen_create`.

        None if the host set no rate for it, which DRF would answer with an error.
        """
        scope = f"textgen_{self.kind_of_call}"
        return scope if scope in (api_settings.DEFAULT_THROTTLE_RATES or {}) else None

    def get_permissions(self) -> list[Any]:
        """Return the host's default permissions and ours; all of them must hold."""
        classes: Any = api_settings.DEFAULT_PERMISSION_CLASSES
        return [*(permission() for permission in classes), *super().get_permissions()]

    def check_permissions(self, request: Request) -> None:
        with _refusals_of_the_framework():
            super().check_permissions(request)

    def check_object_permissions(self, request: Request, obj: Any) -> None:
        with _refusals_of_the_framework():
            super().check_object_permissions(request, obj)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.headers.get("Transfer-Encoding") and not content_length(request):
            raise LengthRequired

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        """Keep answers out of caches: they hold prompts, results and costs of one user."""
        final = super().finalize_response(request, response, *args, **kwargs)
        # Files have their own, which lets the browser of one user keep them for minutes.
        final.headers.setdefault("Cache-Control", "private, no-store")
        return final

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response | None]:
        return render_error

    def path_to(self, name: str, key: UUID) -> str:
        """Return the path of one of our rows on this site."""
        # The host may include our URLs under other namespaces, also nested ones.
        match = self.request.resolver_match
        namespaces = match.namespaces if match else []
        return reverse(":".join([*namespaces, name]), args=[key])
