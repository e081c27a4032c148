"""Benchmarks of the package: `python -m benchmarks --list`, and README.md beside this."""
