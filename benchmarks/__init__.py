"""Figures, as ratios taken side by side in one run. Never asserted in tests."""
