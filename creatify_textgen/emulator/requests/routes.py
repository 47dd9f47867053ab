"""The paths of the API (contract, section 2.1). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Route", "find_route"]

COLLECTION = re.compile(r"/(sse|api)/text_generator/")
DETAIL = re.compile(
    r"/(sse|api)/text_generator/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})/",
    re.IGNORECASE,
)
KINDS = {
    ("collection", "POST"): "create",
    ("collection", "GET"): "list",
    ("stream", "POST"): "stream",
    ("detail", "GET"): "get",
    ("credits", "GET"): "credits",
}


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes."""

    resource: str
    """collection, stream, detail or credits."""
    legacy: bool
    """Under /api/, where Django answers."""
    slashed: bool
    generation_id: str = ""

    def kind(self, method: str) -> str:
        """Return the kind of the request, or an empty string if the method is not allowed."""
        return KINDS.get((self.resource, method), "")

    @property
    def methods(self) -> str:
        return ", ".join(method for resource, method in KINDS if resource == self.resource)


def find_route(path: str, *, legacy_paths: bool) -> Route | None:
    """Return the route of a path, with or without its final slash."""
    # Both forms have a route, because a redirect to the slash is an answer of the API, too.
    slashed = path.endswith("/")
    whole = path if slashed else path + "/"
    if whole == "/api/remaining_credits/":
        return Route("credits", legacy=True, slashed=slashed)
    if whole == "/sse/text_generator/stream/":
        return Route("stream", legacy=False, slashed=slashed)
    found = COLLECTION.fullmatch(whole) or DETAIL.fullmatch(whole)
    if found is None or (found[1] == "api" and not legacy_paths):
        return None
    # Starlette's converter for UUIDs takes capitals as well, and they mean the same id.
    generation_id = found[2].lower() if found.re is DETAIL else ""
    resource = "detail" if generation_id else "collection"
    return Route(resource, found[1] == "api", slashed, generation_id)
