"""Array libraries, threads, memory and compiled code, on which the mathematics runs."""
