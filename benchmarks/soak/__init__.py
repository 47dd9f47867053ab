"""Whether a process that lives long keeps its memory."""
