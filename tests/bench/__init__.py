"""Benchmarks of the running system: `python -m tests.bench [scenario …] [--seconds N]`."""
