"""The HTTP server: connections, framing and timed streams. It knows nothing of generations."""
