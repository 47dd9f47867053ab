"""Streams in the OpenAPI document. Views are named by path, so nothing imports them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiViewExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from creatify_textgen.rest.openapi.answers import BODY, IDEMPOTENCY, REMOTE, answers, documented
from creatify_textgen.rest.openapi.shapes import CREATION, FRAME, TICKET
from creatify_textgen.rest.streaming.formats import UI_MESSAGES

__all__ = ["AttachDocument", "StreamDocument", "TicketDocument", "TicketScheme"]

# OpenAPI 3.0 and 3.1 cannot describe a sequence of events, so the schema is that of one.
FRAMES = {
    (200, "text/event-stream"): OpenApiResponse(
        FRAME, description="The remote's chunks, then `event: end` with the status."
    )
}
LAST_EVENT_ID = OpenApiParameter(
    "Last-Event-ID",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="The id of the last frame that was read. The stream continues after it.",
)
AFTER = OpenApiParameter(
    "after", OpenApiTypes.STR, description="The same, for clients that cannot send headers."
)
FORMAT = OpenApiParameter(
    "format",
    OpenApiTypes.STR,
    enum=(UI_MESSAGES,),
    description="The protocol of the AI SDK's useChat, instead of the remote's chunks.",
)
NOTHING_MORE = OpenApiResponse(description="There is nothing more to read.")


class StreamDocument(OpenApiViewExtension):  # type: ignore[no-untyped-call]
    target_class: Any = "creatify_textgen.rest.streaming.views.StreamView"

    def view_replacement(self) -> Any:
        post = extend_schema(
            operation_id="generations_stream_create",
            request={"application/json": CREATION},
            parameters=[IDEMPOTENCY, FORMAT],
            responses={**FRAMES, **answers(*BODY, *REMOTE, 409, 410)},
        )
        return documented(self.target_class, post=post)


class AttachDocument(OpenApiViewExtension):  # type: ignore[no-untyped-call]
    target_class: Any = "creatify_textgen.rest.streaming.views.AttachView"

    def view_replacement(self) -> Any:
        get = extend_schema(
            operation_id="generations_stream_retrieve",
            parameters=[LAST_EVENT_ID, AFTER, FORMAT],
            responses={**FRAMES, 204: NOTHING_MORE, **answers(400, 404, 503)},
        )
        return documented(self.target_class, get=get)


class TicketDocument(OpenApiViewExtension):  # type: ignore[no-untyped-call]
    target_class: Any = "creatify_textgen.rest.streaming.views.TicketView"

    def view_replacement(self) -> Any:
        post = extend_schema(request=None, responses=answers(404, 411, ok_201=TICKET))
        return documented(self.target_class, post=post)


class TicketScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    # Beside the schemes of the host, and only at the path that accepts tickets.
    target_class: Any = "creatify_textgen.http.tickets.TicketAuthentication"
    name = "streamTicket"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "query", "name": "ticket"}
