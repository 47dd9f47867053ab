"""The HTTP API. Views parse, call one service and render. No rules about generations live here."""
