"""Scores on held-out rows."""
