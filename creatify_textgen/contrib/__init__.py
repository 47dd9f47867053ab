"""Optional parts that listen to the app; nothing imports them but the host's settings."""
