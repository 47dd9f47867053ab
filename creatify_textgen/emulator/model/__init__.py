"""What the emulated model answers. Pure: the same request has the same answer."""
