"""The form of a request as types, for editors and type checkers. Nothing here checks a value.

Every room and every host may import this module. It imports nothing from the package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict
from uuid import UUID

__all__ = [
    "Config",
    "Content",
    "FunctionCall",
    "FunctionCallingConfig",
    "FunctionDeclaration",
    "FunctionResponse",
    "MediaPart",
    "Message",
    "Messages",
    "Part",
    "RequestOptions",
    "TextPart",
    "Tool",
    "ToolConfig",
    "TurnOptions",
]


class TextPart(TypedDict):
    type: Literal["text"]
    text: str


class MediaPart(TypedDict):
    """An image or a video: `data`, or the id of a stored one as `media`."""

    type: Literal["image", "video"]
    data: NotRequired[Any]
    """Base64 text, bytes, a `pathlib.Path` or a Django file."""
    mime_type: NotRequired[str]
    media: NotRequired[str | UUID]


# Creatify documents only `name`, `args` and `response`. Gemini 3 also wants the signature of a call
# back, and later models its id (docs/reference/python-api.md, "Function calls").
class FunctionCall(TypedDict):
    name: str
    args: NotRequired[Mapping[str, Any]]
    id: NotRequired[str]
    thought_signature: NotRequired[str]


class FunctionResponse(TypedDict):
    name: str
    response: Mapping[str, Any]
    id: NotRequired[str]


Part: TypeAlias = TextPart | MediaPart


class Message(TypedDict):
    # Creatify has no roles `system` and `function` (contract, 3.1).
    role: Literal["user", "model"]
    content: NotRequired[str | Sequence[Part]]
    function_call: NotRequired[FunctionCall]
    """In a message of the role `model`."""
    function_response: NotRequired[FunctionResponse]
    """In a message of the role `user`."""


# The last form is a list that was built piece by piece, whose items a checker does not know.
Messages: TypeAlias = str | Sequence[Message] | Sequence[Mapping[str, Any]]

# What a user adds to a conversation: a text, parts of one message, or messages.
Content: TypeAlias = str | Sequence[Part | Message | Mapping[str, Any]]


class Config(TypedDict, total=False):
    """Limits and defaults are in docs/explanation/contract.md, 3.2."""

    temperature: float
    max_output_tokens: int
    top_p: float
    top_k: int
    presence_penalty: float
    frequency_penalty: float
    seed: int
    stop_sequences: Sequence[str]
    response_mime_type: Literal["text/plain", "application/json"]
    response_json_schema: Mapping[str, Any]


class FunctionDeclaration(TypedDict):
    name: str
    description: NotRequired[str]
    parameters: NotRequired[Mapping[str, Any]]


class Tool(TypedDict):
    function_declarations: Sequence[FunctionDeclaration]


class FunctionCallingConfig(TypedDict, total=False):
    mode: Literal["AUTO", "ANY", "NONE"]
    allowed_function_names: Sequence[str]


class ToolConfig(TypedDict, total=False):
    function_calling_config: FunctionCallingConfig


class RequestOptions(TypedDict, total=False):
    """What a request may say beside its messages, for `submit`, `generate` and `stream`."""

    model_name: str | None
    """Default: the setting `DEFAULT_MODEL`."""
    system_instruction: str
    config: Config | Mapping[str, Any] | None
    tools: Sequence[Tool] | Sequence[Mapping[str, Any]] | None
    tool_config: ToolConfig | Mapping[str, Any] | None
    owner: Any
    """A saved user, or None for the site itself."""
    account: str
    metadata: Mapping[str, Any] | None
    """Data of the site, up to 16 KiB of JSON; never sent."""
    schema: Any
    """Asks for JSON: a pydantic model, a dataclass, a TypedDict or a JSON Schema."""
    extra: Mapping[str, Any] | None
    """Merged into the body last: fields that this version does not know."""
    store_content: bool | None
    """False: the result is not saved; receivers of `generation_finished` get it."""


class TurnOptions(TypedDict, total=False):
    """What may be given for one turn of a conversation, beside its content."""

    config: Config | Mapping[str, Any] | None
    tool_config: ToolConfig | Mapping[str, Any] | None
    metadata: Mapping[str, Any] | None
    schema: Any
    extra: Mapping[str, Any] | None
    idempotency_key: str | None
