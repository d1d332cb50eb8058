"""A long stress test on a server that is restarted: `python -m tests.soak`."""
