"""Receives the remote's deliveries. Its URL is public, so every request may be hostile."""
