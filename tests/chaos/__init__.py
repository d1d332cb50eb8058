"""A stress test: workers that are killed and disconnected lose nothing. `python -m tests.chaos`."""
