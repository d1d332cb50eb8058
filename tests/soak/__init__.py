"""A long run of workers at work on a server that is restarted: `python -m tests.soak`."""
