"""Decides what the end of a stream means for its row. Pure; the remote's words are tables here.

Invariant: only a receipt and a clean finish make a generation done, and everything that was
received is kept.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from creatify_textgen.exceptions import ContractError, StreamError
from creatify_textgen.lifecycle import Outcome
from creatify_textgen.remote import ChunkFailure
from creatify_textgen.states import Status
from creatify_textgen.streams.own_frames import STOPPED
from creatify_textgen.streams.transcript import Transcript

__all__ = ["INTERRUPTED", "Verdict", "judge"]

INTERRUPTED = StreamError.code
UNREADABLE = ContractError.code
LIMIT = "stream_limit"
TRUNCATED = "truncated"

# An open set (contract, 6.4): a word that is in none of these tables fails the generation.
# No word is clean, too: the receipt alone says that the answer is complete.
_CLEAN = {"", "STOP", "FINISH_REASON_UNSPECIFIED"}
_BLOCKED = {
    "SAFETY",
    "RECITATION",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "MODEL_ARMOR",
    "JAILBREAK",
}
# Words that a caller can act on by its tools or messages; all others become `remote_failed`.
_OWN_CODES = {
    "MALFORMED_FUNCTION_CALL": "malformed_function_call",
    "MISSING_THOUGHT_SIGNATURE": "missing_thought_signature",
}
# Gemini's words for errors inside a stream (contract, 6.6).
_ERROR_CODES = {
    "RESOURCE_EXHAUSTED": "rate_limited",
    "UNAUTHENTICATED": "authentication",
    "PERMISSION_DENIED": "authentication",
    "INVALID_ARGUMENT": "invalid_request",
    "FAILED_PRECONDITION": "invalid_request",
    "NOT_FOUND": "not_found",
    "UNAVAILABLE": "remote_unavailable",
    "DEADLINE_EXCEEDED": "remote_unavailable",
}
_CREDITS = re.compile(r"\bcredits?\b", re.IGNORECASE)


class Verdict(NamedTuple):
    """How a stream ended."""

    status: Status | None
    """`done` or `failed`. None if it is not known yet: a sweep finds it in the remote's list."""
    outcome: Outcome
    code: str = ""
    """For the reader's error frame; empty if there was no error."""
    message: str = ""


def judge(transcript: Transcript, *, error: StreamError | None) -> Verdict:
    """Return the result of a stream that has ended, with this error or without one."""
    # The order matters: a person's stop, then the remote's own words, then what our side saw.
    if transcript.is_stopped and _is_whole(transcript):
        return Verdict(Status.DONE, transcript.outcome(error_code=STOPPED, partial=True))
    if transcript.failure is not None:
        return _failed(transcript, *_read_failure(transcript.failure))
    if transcript.block_reason:
        reason = f"The prompt was blocked ({transcript.block_reason})."
        return _failed(transcript, "blocked", reason)
    if transcript.finish_reason in _BLOCKED:
        reason = f"The answer was blocked ({transcript.finish_reason})."
        return _failed(transcript, "blocked", reason)
    if error is not None and error.code == LIMIT:
        return _judge_limit(transcript, error)
    if error is not None and error.code == UNREADABLE:
        return _to_be_polled(transcript, UNREADABLE, "A piece of the answer cannot be read")
    if error is not None and not _is_whole(transcript):
        return _to_be_polled(transcript, INTERRUPTED, "The stream broke off")
    return _judge_finish(transcript)


def _is_whole(transcript: Transcript) -> bool:
    """Whether the answer is complete by the remote's receipt, or by the reason of its end."""
    receipt = transcript.receipt
    return receipt is not None and bool(not receipt.is_early or transcript.finish_reason)


def _to_be_polled(transcript: Transcript, code: str, what: str) -> Verdict:
    """Keep what was received, and the receipt. The remote's list may have the whole answer."""
    # Without an error code: the row is not final, and what is found later decides.
    outcome = transcript.outcome(error_code="", partial=transcript.has_answer)
    return Verdict(None, outcome, code, f"{what}; this site is asking the remote for its result.")


def _judge_limit(transcript: Transcript, error: StreamError) -> Verdict:
    """End a stream that we closed because it was too long. The text so far is kept."""
    if not _is_whole(transcript):
        return _to_be_polled(transcript, LIMIT, str(error).removesuffix("."))
    return _failed(transcript, LIMIT, str(error))


def _judge_finish(transcript: Transcript) -> Verdict:
    reason = transcript.finish_reason
    if reason in _CLEAN or reason == "MAX_TOKENS":
        code = TRUNCATED if reason == "MAX_TOKENS" else ""
        return Verdict(Status.DONE, transcript.outcome(error_code=code, partial=False))
    code = _OWN_CODES.get(reason, "remote_failed")
    return _failed(transcript, code, f"The answer ended early ({reason}).")


def _failed(transcript: Transcript, code: str, reason: str) -> Verdict:
    if transcript.message and transcript.message not in reason:
        reason = f"{reason} {transcript.message}"
    outcome = transcript.outcome(
        error_code=code, failed_reason=reason, partial=transcript.has_answer
    )
    return Verdict(Status.FAILED, outcome, code, reason)


def _read_failure(failure: ChunkFailure) -> tuple[str, str]:
    reason = failure.message or f"The remote reported {failure.code} inside the stream."
    # Creatify's code for this error is unknown; its FAQ calls it "an insufficient credits error"
    # (contract, 2.2).
    if _CREDITS.search(failure.message):
        return "insufficient_credits", reason
    return _ERROR_CODES.get(failure.code.upper(), "remote_failed"), reason
