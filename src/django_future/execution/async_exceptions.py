"""Exceptions that one thread raises in another.

Python delivers such an exception between two bytecode instructions of the other thread.
"""

import ctypes
from threading import get_ident


def raise_in(thread: int, exception: type[BaseException]) -> None:
    """Raise `exception` in a thread; it replaces one that is pending there.

    `thread` is the identifier of the thread.
    """
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(exception))


def drop_pending() -> None:
    """Drop the exception that another thread has raised in this one, if it is still pending.

    This replaces it with another exception, waits until that arrives, and drops it. Before 3.13,
    CPython checks every thread for a pending exception at each step until one is delivered, even
    if the thread of the exception has ended. This is slow, and under a tracer such as a debugger,
    CPython 3.11 hangs in such a step.
    """
    try:
        raise_in(get_ident(), _Dropped)
        while True:  # until it arrives
            pass
    except _Dropped:
        pass


class _Dropped(BaseException):
    pass
