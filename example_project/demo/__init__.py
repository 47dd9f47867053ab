"""A tour of the whole app in one process, with the emulator or the real service."""
