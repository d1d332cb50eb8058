"""Receivers of signals, connected temporarily."""

from contextlib import contextmanager


@contextmanager
def connected(signal, receiver):
    """Connect `receiver` to `signal` inside the block."""
    signal.connect(receiver)
    try:
        yield
    finally:
        signal.disconnect(receiver)
