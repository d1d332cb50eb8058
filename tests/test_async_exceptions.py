"""Exceptions that one thread raises in another."""

import subprocess
import sys
from threading import Event, Thread, get_ident

import pytest

from django_future.execution.async_exceptions import drop_pending, raise_in

pytestmark = pytest.mark.every_python

# A thread withdraws an exception before it ends. CPython then still looks for the exception when
# a tracer follows a call.
UNDER_A_TRACER = """
import ctypes
import sys
from threading import Thread, get_ident

from django_future.execution.async_exceptions import drop_pending


def end_without_pending_exception():
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(get_ident()), None)


thread = Thread(target=end_without_pending_exception)
thread.start()
thread.join()
drop_pending()
sys.settrace(lambda *_: None)
(lambda: None)()
print("done")
"""


class Late(Exception):
    pass


def test_an_exception_raised_in_another_thread_arrives_there():
    is_waiting, caught = Event(), []

    def wait():
        try:
            is_waiting.set()
            while True:
                pass
        except Late as error:
            caught.append(error)

    thread = Thread(target=wait)
    thread.start()
    is_waiting.wait()
    raise_in(thread.ident, Late)
    thread.join(10)
    assert len(caught) == 1


def test_a_dropped_asynchronous_exception_does_not_arrive():
    arrived = []
    try:
        raise_in(get_ident(), Late)
    except Late:
        arrived.append("at once")  # CPython chooses the moment
    drop_pending()
    try:
        for _ in range(1000):
            pass
    except Late:
        arrived.append("later")
    assert "later" not in arrived


def test_a_tracer_works_after_an_asynchronous_exception_was_dropped():
    command = [sys.executable, "-c", UNDER_A_TRACER]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "done\n", done.stderr
