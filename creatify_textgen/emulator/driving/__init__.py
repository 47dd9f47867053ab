"""How the emulator is driven: as a Python object, and over the paths under /_emulator/."""
