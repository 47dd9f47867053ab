"""Conversations in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiViewExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema

from creatify_textgen.rest.conversations import ConversationSerializer, TurnSerializer
from creatify_textgen.rest.openapi.answers import (
    BODY,
    IDEMPOTENCY,
    REMOTE,
    answers,
    documented,
    name_component,
)
from creatify_textgen.rest.openapi.shapes import ADDITION, CONVERSATION, FORK, TITLE
from creatify_textgen.rest.openapi.streams import (
    AFTER,
    FORMAT,
    FRAMES,
    LAST_EVENT_ID,
    NOTHING_MORE,
)
from creatify_textgen.rest.pagination import ORDERINGS, TurnPages

__all__ = ["ConversationStreamDocument", "ConversationsDocument"]


name_component(ConversationSerializer, "TextgenConversation")
name_component(TurnSerializer, "TextgenTurn")


def _ordering(names: Any, *, default: str) -> OpenApiParameter:
    return OpenApiParameter(
        "ordering", OpenApiTypes.STR, enum=tuple(names), description=f"By default {default}."
    )


class ConversationsDocument(OpenApiViewExtension):  # type: ignore[no-untyped-call]
    target_class: Any = "creatify_textgen.rest.conversations.ConversationViewSet"

    def view_replacement(self) -> Any:
        one = ConversationSerializer
        turn = TurnSerializer
        # 404 in lists is for a `cursor` that the API did not give.
        by_number = _ordering(TurnPages.orderings, default="number")
        return documented(
            self.target_class,
            list=extend_schema(
                parameters=[_ordering(ORDERINGS, default="-updated_at")],
                responses=answers(400, 404, ok_200=one),
            ),
            create=extend_schema(
                request={"application/json": CONVERSATION}, responses=answers(*BODY, ok_201=one)
            ),
            retrieve=extend_schema(responses=answers(404, ok_200=one)),
            partial_update=extend_schema(
                request={"application/json": TITLE}, responses=answers(404, *BODY, ok_200=one)
            ),
            destroy=extend_schema(responses=answers(404, 409, 411, ok_204=None)),
            fork=extend_schema(
                request={"application/json": FORK}, responses=answers(404, *BODY, ok_201=one)
            ),
            messages=extend_schema(
                parameters=[by_number], responses=answers(400, 404, ok_200=turn(many=True))
            ),
            say=extend_schema(
                operation_id="conversations_messages_create",
                request={"application/json": ADDITION},
                parameters=[IDEMPOTENCY],
                responses=answers(404, 409, *BODY, *REMOTE, ok_201=turn, ok_202=turn),
            ),
        )


class ConversationStreamDocument(OpenApiViewExtension):  # type: ignore[no-untyped-call]
    target_class: Any = "creatify_textgen.rest.conversations.ConversationStreamView"

    def view_replacement(self) -> Any:
        post = extend_schema(
            operation_id="conversations_messages_stream_create",
            request={"application/json": ADDITION},
            parameters=[IDEMPOTENCY, FORMAT],
            responses={**FRAMES, **answers(404, 409, 410, *BODY, *REMOTE)},
        )
        get = extend_schema(
            operation_id="conversations_messages_stream_retrieve",
            parameters=[LAST_EVENT_ID, AFTER, FORMAT],
            responses={**FRAMES, 204: NOTHING_MORE, **answers(400, 404, 503)},
        )
        return documented(self.target_class, get=get, post=post)
