"""What a stream's end means for its row. Pure; the remote's words are tables here.

Invariant: only a receipt and a clean finish make a generation done, and nothing that was heard
is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass

from creatify_textgen.exceptions import ContractError, StreamError
from creatify_textgen.lifecycle import Outcome
from creatify_textgen.remote import ChunkFailure
from creatify_textgen.services.streaming.transcript import Transcript
from creatify_textgen.states import Status

__all__ = ["INTERRUPTED", "Verdict", "judge"]

INTERRUPTED = StreamError.code
UNREADABLE = ContractError.code
TRUNCATED = "truncated"

# An open set (contract, 6.4): a word that is in none of these tables fails the generation.
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


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a stream ended."""

    status: Status | None
    """`done` or `failed`; None where nobody knows yet, and the remote's list may tell."""
    outcome: Outcome
    code: str = ""
    """For the reader's error frame; empty where all is well."""
    message: str = ""


def judge(transcript: Transcript, *, error: StreamError | None) -> Verdict:
    """Return what became of a stream that ended, with this error or cleanly."""
    if transcript.failure is not None:
        return _failed(transcript, *_read_failure(transcript.failure))
    if transcript.block_reason:
        reason = f"The prompt was blocked ({transcript.block_reason})."
        return _failed(transcript, "blocked", reason)
    if transcript.finish_reason in _BLOCKED:
        reason = f"The answer was blocked ({transcript.finish_reason})."
        return _failed(transcript, "blocked", reason)
    if error is not None and error.code == UNREADABLE:
        return _looked_up(transcript, UNREADABLE, "A piece of the answer cannot be read")
    if error is not None and transcript.receipt is None:
        return _looked_up(transcript, INTERRUPTED, "The stream broke off")
    return _judge_finish(transcript)


def _looked_up(transcript: Transcript, code: str, what: str) -> Verdict:
    """Keep what was heard, its receipt too; the remote may tell the whole."""
    outcome = transcript.outcome(error_code="", partial=transcript.has_answer)
    return Verdict(None, outcome, code, f"{what}; what the remote has made of it is looked up.")


def _judge_finish(transcript: Transcript) -> Verdict:
    reason = transcript.finish_reason
    if reason in _CLEAN or reason == "MAX_TOKENS":
        code = TRUNCATED if reason == "MAX_TOKENS" else ""
        return Verdict(Status.DONE, transcript.outcome(error_code=code, partial=False))
    code = _OWN_CODES.get(reason, "remote_failed")
    return _failed(transcript, code, f"The answer ended early ({reason}).")


def _failed(transcript: Transcript, code: str, reason: str) -> Verdict:
    outcome = transcript.outcome(
        error_code=code, failed_reason=reason, partial=transcript.has_answer
    )
    return Verdict(Status.FAILED, outcome, code, reason)


def _read_failure(failure: ChunkFailure) -> tuple[str, str]:
    reason = failure.message or f"The remote reported {failure.code} inside the stream."
    if "credit" in failure.message.lower():
        return "insufficient_credits", reason
    return _ERROR_CODES.get(failure.code, "remote_failed"), reason
