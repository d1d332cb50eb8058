"""Receivers of signals, for a while."""

from contextlib import contextmanager


@contextmanager
def connected(signal, receiver):
    """Call `receiver` for `signal` meanwhile."""
    signal.connect(receiver)
    try:
        yield
    finally:
        signal.disconnect(receiver)
