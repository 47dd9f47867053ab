"""The tour: the whole app at work, in one process, against the emulator or the real service."""
