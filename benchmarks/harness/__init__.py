"""Timing, memory, peers, and the command that runs a benchmark and keeps its result."""
