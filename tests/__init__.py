"""Tests, and the small host project they run in."""
