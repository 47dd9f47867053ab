"""Benchmarks. Each prints ratios of two things measured in one run. No test depends on them."""
