"""Measures the broker beside nginx doing the same work, in one run, as ratios."""
