"""Sketches of rows, dense and sparse."""
