"""What the emulator accepts: paths, JSON bodies with their media, the schema of a request."""
