"""Test helpers that change the whole process, and so allow one thread only."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from django_future.testing import override_future, travel_to


@pytest.fixture
def in_other_thread():
    """Return a function that calls a function in another thread."""
    with ThreadPoolExecutor(1) as threads:
        yield lambda function: threads.submit(function).result()


def enter_inline():
    with override_future():
        pass


def test_override_future_refuses_a_second_thread(in_other_thread):
    with override_future(), pytest.raises(RuntimeError, match="another thread is inside"):
        in_other_thread(enter_inline)
    in_other_thread(enter_inline)


def test_travel_to_refuses_a_thread_while_another_runs_jobs_inline(in_other_thread):
    with override_future(), pytest.raises(RuntimeError, match=r"travel_to\(\) changes"):
        in_other_thread(lambda: travel_to("1d"))


def test_override_future_can_be_nested_in_one_thread():
    with override_future():
        enter_inline()
