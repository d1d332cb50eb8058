"""The proof that workers lose nothing, whatever dies: `python -m tests.chaos`."""
