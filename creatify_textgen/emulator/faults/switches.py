"""Every switch of the emulator: name, default, allowed values and meaning.

A frozen table without behaviour. A generation keeps the settings under which it was created.
Switches that only change how an answer is written (nulls, timestamps, the list) are read when
it is written.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from .switch import Switch, switch

__all__ = ["SWITCHES", "Settings"]

ERROR_CODES = (
    "none", "200", "400", "401", "402", "403", "404", "413", "429", "499", "500", "502", "503",
    "504",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settings:
    """The value of every switch at one point in time."""

    # How a generation goes and how it ends.
    pending_seconds: float = switch(0.05, "Seconds a generation stays pending.")
    running_seconds: float = switch(0.1, "Seconds a generation stays running.")
    stuck: bool = switch(
        False, "Generations, streamed ones too, do not end until `finish` is called."
    )
    final_state: str = switch(
        "done",
        "How a generation ends. empty, function_calls and invalid_json: done, with that content.",
        allowed=("done", "failed", "empty", "function_calls", "invalid_json"),
    )
    failed_reason: str = switch(
        "The model is overloaded. Please try again later.", "Text of a failed generation."
    )
    failed_charged: bool = switch(False, "Failed generations cost their tokens too.")
    status_words: str = switch(
        "documented",
        "sibling: in_queue, generating and rejected, as other Creatify endpoints write.",
        allowed=("documented", "sibling"),
        counted_by="any",
    )
    word_count: int = switch(0, "Exact number of words in each text; 0: its own length.")
    function_call_count: int = switch(1, "Number of calls in an answer that calls functions.")
    call_if_named: bool = switch(
        False, "With AUTO, call only functions whose name has a word of the prompt."
    )
    call_fields: tuple[str, ...] = switch(
        (),
        "What calls carry besides name and args; only the first of an answer has a signature.",
        allowed=("id", "thought_signature"),
    )
    thinking_tokens: int = switch(0, "Thinking tokens; they count against max_output_tokens.")
    finish_reason: str = switch("", "Finish reason of streams; empty: STOP or MAX_TOKENS.")
    model_version: str = switch("", "modelVersion in streams; empty: the model of the request.")

    # How a create is answered.
    error_at_create: str = switch(
        "none", "Refuse creates and streams with this status.", allowed=ERROR_CODES
    )
    reset_before_accept: bool = switch(False, "Creates: reset the connection and create nothing.")
    reset_after_accept: bool = switch(False, "Creates: create, then reset without an answer.")
    error_after_accept: str = switch(
        "none", "Creates: create, then answer this status.", allowed=ERROR_CODES
    )
    answer_delay: float = switch(0.0, "Seconds between accepting a create and answering it.")
    sync_answer: str = switch(
        "final",
        "Answer to sync: true: the final state, a 201 still pending, a 201 failed, or a 500.",
        allowed=("final", "pending", "failed", "error"),
    )
    models: str = switch(
        "gemini",
        "Model names accepted: all that begin with gemini-, any, or the five of the guide.",
        allowed=("gemini", "any", "listed"),
    )
    retired_model: str = switch("", "A model that is refused as not found.")
    rerouted_models: tuple[str, ...] = switch(
        (), "Pairs 'asked:answering'; modelVersion in streams is the second."
    )
    config_range: str = switch(
        "refuse",
        "Config values out of range: 400, a generation that fails, or accepted as they are.",
        allowed=("refuse", "fail", "ignore"),
    )
    unknown_fields: str = switch(
        "ignore", "Fields that are not in the schema.", allowed=("ignore", "refuse")
    )
    call_checks: tuple[str, ...] = switch(
        (),
        "400 for calls: no signature on the first of a step (Gemini 3), Google's placeholder for "
        "one, a result without its call's id (Gemini 3.5), any field that is not documented.",
        allowed=(
            "missing_signature", "placeholder_signature", "missing_response_id", "opaque_fields",
        ),
    )  # fmt: skip
    drop_call_fields: bool = switch(
        False, "Remove ids and signatures from messages before anything reads them."
    )
    media_size: str = switch(
        "decoded", "Which size of media the limits apply to.", allowed=("decoded", "encoded")
    )

    # How any call is answered.
    latency: float = switch(0.0, "Seconds before each answer.", counted_by="any")
    outage: str = switch(
        "none",
        "How every call of the API fails.",
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
        "Form of Retry-After with 429 and 503.",
        allowed=("seconds", "date", "none"),
        counted_by="any",
    )
    retry_after_seconds: int = switch(1, "Seconds until the time in Retry-After.", counted_by="any")
    slash: str = switch(
        "redirect",
        "Answer to a path without its final slash: 307 or 404.",
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

    # False facts.
    clock_offset: float = switch(
        0.0,
        "Seconds that its clock is ahead, or behind if negative: Date, created_at, Retry-After.",
        counted_by="any",
    )
    date_offset: float = switch(
        0.0,
        "Seconds that the Date header is ahead of the clock that dates generations.",
        counted_by="any",
    )
    date_header: str = switch(
        "sent",
        "The Date header of answers.",
        allowed=("sent", "none", "unreadable"),
        counted_by="any",
    )
    upload_rate: int = switch(
        0, "Bytes per second at which bodies of requests are read; 0: at once.", counted_by="any"
    )
    store_delay: float = switch(
        0.0, "Seconds until an accepted create exists: for GET, the list, its webhooks, its date."
    )
    equal_creates: str = switch(
        "each",
        "Equal creates: one generation each, or the id of the first one, charged once.",
        allowed=("each", "joined"),
    )
    echo_changes: tuple[str, ...] = switch(
        (),
        "How answers change the fields that they repeat from the request; several, with commas.",
        allowed=(
            "config_defaults", "config_rounded", "config_missing", "text_normalized",
            "media_reencoded", "model_renamed", "keys_reordered", "system_instruction_missing",
            "messages_empty", "messages_missing",
        ),
    )  # fmt: skip
    workspace: str = switch(
        "", "Workspace that all keys lead to; empty: one for each pair.", counted_by="any"
    )

    # The list.
    list_style: str = switch(
        "array",
        "A bare array, or pages of {results, next}.",
        allowed=("array", "results"),
        counted_by="list",
    )
    list_order: str = switch(
        "newest", "Order of the list.", allowed=("newest", "oldest", "shuffled"), counted_by="list"
    )
    list_page_size: int = switch(100, "Generations per page of {results, next}.", counted_by="list")
    list_limit: int = switch(0, "Most generations in the list; 0: all.", counted_by="list")
    list_keep: str = switch(
        "first",
        "Generations that list_limit keeps: the first in order, the newest, or the oldest.",
        allowed=("first", "newest", "oldest"),
        counted_by="list",
    )
    list_lag: float = switch(0.0, "Seconds that the list is out of date.", counted_by="list")
    list_next: str = switch(
        "honest",
        "next of {results, next}: correct, never given, or without an end.",
        allowed=("honest", "none", "endless"),
        counted_by="list",
    )
    list_damage: str = switch(
        "none",
        "Items that are no generations, the newest generation without an id, or JSON cut off.",
        allowed=("none", "strange_items", "unreadable_newest", "truncated"),
        counted_by="list",
    )
    stream_listed: str = switch(
        "at_once",
        "When streamed generations are listed: once they begin, once they have ended, or never.",
        allowed=("at_once", "at_end", "never"),
    )

    # Keys and credits.
    api_keys: tuple[str, ...] = switch(
        (), "The pairs 'id:key' accepted, one workspace each; empty: any.", counted_by="any"
    )
    balance: float = switch(379.0, "Credits of a workspace at its start.", counted_by="any")
    credits: str = switch(
        "enough",
        "Answer as if no credits were left.",
        allowed=("enough", "insufficient_at_create", "insufficient_at_processing"),
    )
    charge_at: str = switch("finish", "When credits are charged.", allowed=("finish", "accept"))

    # Webhooks.
    webhook: str = switch(
        "once",
        "Webhooks. early: before the create is answered. another: with another generation's id.",
        allowed=(
            "once", "none", "duplicate", "progress", "early", "wrong_id", "another",
            "out_of_order", "null_fields",
        ),
    )  # fmt: skip
    webhook_on_sync: bool = switch(False, "Sync generations send webhooks too.")
    webhook_delay: float = switch(0.0, "Seconds between a change of status and its webhook.")
    webhook_timeout: float = switch(10.0, "Seconds a webhook waits for its answer.")
    webhook_attempts: int = switch(1, "Attempts to send a webhook that is not answered with 2xx.")

    # Streams.
    chunk_interval: float = switch(0.02, "Seconds between chunks of a stream.")
    chunk_count: int = switch(0, "Chunks of text per stream; 0: one per three words.")
    stream_separator: str = switch("lf", "Line ends in streams.", allowed=("lf", "crlf"))
    stream_ping_seconds: float = switch(0.0, "Seconds between ': ping' comments; 0: none.")
    stream_keys: str = switch(
        "camel", "camelCase, or snake_case with nulls.", allowed=("camel", "snake")
    )
    stream_creatify: str = switch(
        "merged", "The creatify object: in the last chunk, or alone.", allowed=("merged", "own")
    )
    stream_usage: str = switch(
        "counts",
        "usageMetadata before the last chunk: prompt counts, or trafficType as on Vertex.",
        allowed=("counts", "vertex"),
    )
    stream_fault: str = switch(
        "none",
        "What goes wrong half-way. done_marker: [DONE] at the end. drip: 16 bytes at a time.",
        allowed=(
            "none", "error_event", "error_text_event", "raw_json_tail", "named_error_event",
            "cut_mid_event", "cut_without_creatify", "silence", "empty_body", "done_marker", "drip",
        ),
    )  # fmt: skip
    stream_cut: str = switch(
        "close",
        "How a cut stream ends: closed within the body, reset, or as if the body were complete.",
        allowed=("close", "reset", "complete"),
    )
    stream_content: str = switch(
        "text",
        "What the chunks contain.",
        allowed=(
            "text", "thoughts", "signature_only", "no_content", "finish_each", "prompt_block",
            "safety", "function_call",
        ),
    )  # fmt: skip
    stream_disconnect: str = switch(
        "charged",
        "If the reader disconnects: the generation is done and charged, or failed and free.",
        allowed=("charged", "stopped"),
    )

    # The emulator itself.
    request_log_size: int = switch(10_000, "Number of requests kept in the log.", counted_by="any")
    retention: int = switch(100_000, "Number of generations kept; older ones answer 404.")


SWITCHES: dict[str, Switch] = {
    row.name: Switch(row.name, row.default, **row.metadata) for row in fields(Settings)
}
