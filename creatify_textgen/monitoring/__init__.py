"""For probes and scrapers: whether this process lives, and whether it can do its work."""
