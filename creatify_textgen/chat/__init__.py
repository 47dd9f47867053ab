"""What is built on the verbs: conversations, runs, declarations, schemas without `$ref`.

No room below knows this one. If a site does not use it, none of its code runs, but its tables
exist.
"""

from creatify_textgen.chat.conversations import Conversation
from creatify_textgen.chat.current import current_run
from creatify_textgen.chat.declarations import declare
from creatify_textgen.chat.open_runs import (
    approve,
    go_on,
    reject,
    resume,
    stop_run,
    sweep_runs,
)
from creatify_textgen.chat.running import arun, asubmit_run, run, submit_run
from creatify_textgen.chat.runs import Run, Step, ToolCall
from creatify_textgen.chat.schemas import inlined
from creatify_textgen.chat.toolbox import tool
from creatify_textgen.chat.turns import Turn

__all__ = [
    "Conversation",
    "Run",
    "Step",
    "ToolCall",
    "Turn",
    "approve",
    "arun",
    "asubmit_run",
    "current_run",
    "declare",
    "go_on",
    "inlined",
    "reject",
    "resume",
    "run",
    "stop_run",
    "submit_run",
    "sweep_runs",
    "tool",
]
