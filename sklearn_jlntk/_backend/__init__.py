"""What the mathematics runs on: array libraries, threads, memory, compiled code."""
