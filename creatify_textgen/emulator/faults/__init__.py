"""What the emulator gets wrong: the table of switches, and their values while it runs."""
