"""Exceptions that one thread raises in another, between two of its instructions."""

import ctypes
from threading import get_ident


def raise_in(thread: int, exception: type[BaseException]) -> None:
    """Raise `exception` in the thread with this identifier, in place of one on its way there."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(exception))


def drop_pending() -> None:
    """Let nothing arrive in this thread that another one has raised in it.

    One exception is delivered here and dropped. Until one has been delivered, CPython before 3.13
    looks for it at each step of each thread, even if its thread has ended. That is slow, and under
    a tracer, such as a debugger, CPython 3.11 never gets past such a step.
    """
    try:
        raise_in(get_ident(), _Dropped)
        while True:  # until it arrives
            pass
    except _Dropped:
        pass


class _Dropped(BaseException):
    pass
