"""Every switch of the emulator: name, default, allowed values and meaning.

A frozen table and nothing that acts. A generation keeps the settings it was created under; what
only concerns how an answer looks (nulls, timestamps, list) is read when it is written.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

__all__ = ["SWITCHES", "Settings", "Switch", "SwitchError"]

ERROR_CODES = (
    "none", "400", "401", "402", "403", "404", "413", "429", "500", "502", "503", "504",
)  # fmt: skip


class SwitchError(ValueError):
    """Unknown switch, or a value that the switch does not know."""


@dataclass(frozen=True, slots=True)
class Switch:
    """One row of the table."""

    name: str
    default: Any
    allowed: tuple[str, ...]
    """The words it takes; empty where any value of the default's type will do."""
    meaning: str
    counted_by: str
    """Which requests use up a setting limited by `times`: create, get, list, credits or any."""


def switch(
    default: Any, meaning: str, *, allowed: tuple[str, ...] = (), counted_by: str = "create"
) -> Any:
    metadata = {"meaning": meaning, "allowed": allowed, "counted_by": counted_by}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Settings:
    """The value of every switch at one moment."""

    # How a generation goes and how it ends.
    pending_seconds: float = switch(0.05, "Seconds a generation stays pending.")
    running_seconds: float = switch(0.1, "Seconds a generation stays running.")
    stuck: bool = switch(
        False, "Generations, streamed ones too, do not end until they are finished by hand."
    )
    final_state: str = switch(
        "done",
        "How a generation ends; empty, function_calls and invalid_json are done with that content.",
        allowed=("done", "failed", "empty", "function_calls", "invalid_json"),
    )
    failed_reason: str = switch(
        "The model is overloaded. Please try again later.", "Text of a failed generation."
    )
    failed_charged: bool = switch(False, "Failed generations cost their tokens as well.")
    status_words: str = switch(
        "documented",
        "sibling: in_queue, generating and rejected, as other endpoints of the vendor say.",
        allowed=("documented", "sibling"),
        counted_by="any",
    )
    word_count: int = switch(0, "Exact number of words of each text; 0: as many as there are.")
    function_call_count: int = switch(1, "Calls in an answer that calls functions.")
    thinking_tokens: int = switch(0, "Thinking tokens; they count against max_output_tokens.")
    finish_reason: str = switch("", "Finish reason of streams; empty: STOP or MAX_TOKENS.")
    model_version: str = switch("", "Model that streams claim to be; empty: the one asked for.")

    # How a create is answered.
    error_at_create: str = switch(
        "none", "Refuse creates and streams with this status.", allowed=ERROR_CODES
    )
    reset_before_accept: bool = switch(False, "Creates: reset the connection, create nothing.")
    reset_after_accept: bool = switch(False, "Creates: create, then reset without an answer.")
    error_after_accept: str = switch(
        "none", "Creates: create, then answer this status.", allowed=ERROR_CODES
    )
    answer_delay: float = switch(0.0, "Seconds between accepting a create and answering it.")
    sync_answer: str = switch(
        "final",
        "What sync: true is answered: the end, a 201 that still waits, a 201 failed, or a 500.",
        allowed=("final", "pending", "failed", "error"),
    )
    models: str = switch(
        "gemini",
        "Model names accepted: those beginning with gemini, any, or the guide's five.",
        allowed=("gemini", "any", "listed"),
    )
    config_range: str = switch(
        "refuse",
        "Out-of-range config values: 400, a generation that fails, or taken as they are.",
        allowed=("refuse", "fail", "ignore"),
    )
    unknown_fields: str = switch(
        "ignore", "Fields that the schema does not name.", allowed=("ignore", "refuse")
    )
    media_size: str = switch(
        "decoded", "Which size of media is limited.", allowed=("decoded", "encoded")
    )

    # How any call is answered.
    latency: float = switch(0.0, "Seconds before each answer.", counted_by="any")
    outage: str = switch(
        "none",
        "Every call of the API fails like this.",
        allowed=("none", "503", "reset"),
        counted_by="any",
    )
    error_at_get: str = switch(
        "none", "Refuse GETs of one generation.", allowed=ERROR_CODES, counted_by="get"
    )
    error_at_list: str = switch(
        "none", "Refuse the list with this status.", allowed=ERROR_CODES, counted_by="list"
    )
    error_at_credits: str = switch(
        "none", "Refuse the balance with this status.", allowed=ERROR_CODES, counted_by="credits"
    )
    error_body: str = switch(
        "error",
        "Shape of 4xx bodies; 500 is always text, 502 to 504 always HTML.",
        allowed=("error", "detail", "field", "non_field", "list", "text", "html"),
        counted_by="any",
    )
    retry_after: str = switch(
        "seconds",
        "Retry-After of 429 and 503.",
        allowed=("seconds", "date", "none"),
        counted_by="any",
    )
    retry_after_seconds: int = switch(1, "How far Retry-After lies ahead.", counted_by="any")
    slash: str = switch(
        "redirect",
        "A path without its last slash: 307 or 404.",
        allowed=("redirect", "not_found"),
        counted_by="any",
    )
    legacy_paths: bool = switch(True, "Serve /api/text_generator/ as well.", counted_by="any")
    null_style: str = switch(
        "empty",
        "How an unset response_text or failed_reason is written.",
        allowed=("empty", "null"),
        counted_by="any",
    )
    timestamps: str = switch(
        "pacific",
        "Offset -08:00 with microseconds, whole seconds with Z, or +00:00 with microseconds.",
        allowed=("pacific", "z", "utc"),
        counted_by="any",
    )
    media_echo: str = switch(
        "omitted",
        "Media in echoed messages: without data, or with the base64 as sent (kept in memory).",
        allowed=("omitted", "full"),
    )

    # The list.
    list_style: str = switch(
        "array",
        "A bare array, or pages of {results, next}.",
        allowed=("array", "results"),
        counted_by="list",
    )
    list_order: str = switch(
        "newest", "Order.", allowed=("newest", "oldest", "shuffled"), counted_by="list"
    )
    list_page_size: int = switch(100, "Generations a page of {results, next}.", counted_by="list")
    list_limit: int = switch(0, "Generations the list admits to; 0: all.", counted_by="list")
    stream_listed: str = switch(
        "at_once",
        "When streamed generations are listed: as they begin, once they have ended, or never.",
        allowed=("at_once", "at_end", "never"),
    )

    # Keys and credits.
    api_keys: tuple[str, ...] = switch(
        (), "The pairs 'id:key' accepted, one workspace each; empty: any.", counted_by="any"
    )
    balance: float = switch(379.0, "Credits of a workspace at its start.", counted_by="any")
    credits: str = switch(
        "enough",
        "Answer as if credits had run out.",
        allowed=("enough", "insufficient_at_create", "insufficient_at_processing"),
    )
    charge_at: str = switch("finish", "When credits go.", allowed=("finish", "accept"))

    # Webhooks.
    webhook: str = switch(
        "once",
        "Deliveries of a generation; early: before the create is answered.",
        allowed=(
            "once", "none", "duplicate", "progress", "early", "wrong_id", "out_of_order",
            "null_fields",
        ),
    )  # fmt: skip
    webhook_on_sync: bool = switch(False, "Sync generations deliver webhooks too.")
    webhook_delay: float = switch(0.0, "Seconds between a status and its delivery.")
    webhook_timeout: float = switch(10.0, "Seconds a delivery waits for its answer.")
    webhook_attempts: int = switch(1, "Attempts of a delivery that is not answered with 2xx.")

    # Streams.
    chunk_interval: float = switch(0.02, "Seconds between chunks of a stream.")
    chunk_count: int = switch(0, "Chunks of text in a stream; 0: one for every three words.")
    stream_separator: str = switch("lf", "Ends of lines.", allowed=("lf", "crlf"))
    stream_ping_seconds: float = switch(0.0, "Seconds between ': ping' comments; 0: none.")
    stream_keys: str = switch(
        "camel", "camelCase, or snake_case with nulls.", allowed=("camel", "snake")
    )
    stream_creatify: str = switch(
        "merged", "The creatify object: in the last chunk or alone.", allowed=("merged", "own")
    )
    stream_usage: str = switch(
        "counts",
        "usageMetadata of chunks before the last: prompt counts, or trafficType as on Vertex.",
        allowed=("counts", "vertex"),
    )
    stream_fault: str = switch(
        "none",
        "What goes wrong half-way; done_marker sends [DONE] at the end, drip cuts chunks small.",
        allowed=(
            "none", "error_event", "error_text_event", "raw_json_tail", "named_error_event",
            "cut_mid_event", "cut_without_creatify", "silence", "empty_body", "done_marker", "drip",
        ),
    )  # fmt: skip
    stream_cut: str = switch(
        "close",
        "How a cut stream ends: closed in mid-body, reset, or as if the body were complete.",
        allowed=("close", "reset", "complete"),
    )
    stream_content: str = switch(
        "text",
        "What the chunks hold.",
        allowed=(
            "text", "thoughts", "signature_only", "no_content", "finish_each", "prompt_block",
            "safety", "function_call",
        ),
    )  # fmt: skip
    stream_disconnect: str = switch(
        "charged",
        "A reader that leaves: the generation ends and costs, or fails and is free.",
        allowed=("charged", "stopped"),
    )

    # The emulator itself.
    request_log_size: int = switch(10_000, "Requests remembered.", counted_by="any")
    retention: int = switch(100_000, "Generations remembered; older ones answer 404.")


SWITCHES: dict[str, Switch] = {
    row.name: Switch(row.name, row.default, **row.metadata) for row in fields(Settings)
}
