"""The backoff of a process for unknown handlers."""

from types import SimpleNamespace

import pytest

from django_future import ScheduledJob
from django_future.worker import unknown_handlers
from django_future.worker.unknown_handlers import INITIAL_BACKOFF_SECONDS, UnknownHandlers


@pytest.fixture
def elapsed(monkeypatch):
    """Return a list with one element, the elapsed seconds."""
    seconds = [0.0]
    monkeypatch.setattr(unknown_handlers, "time", SimpleNamespace(monotonic=lambda: seconds[0]))
    return seconds


def test_an_unknown_handler_is_tried_again_after_a_delay_that_doubles(elapsed):
    handlers, job = UnknownHandlers(store=None), ScheduledJob(callable_name="a.b")
    handlers.add(job)
    assert len(handlers.names) == 1
    elapsed[0] = INITIAL_BACKOFF_SECONDS
    assert not handlers.names
    handlers.add(job)
    elapsed[0] = 2.5 * INITIAL_BACKOFF_SECONDS
    assert len(handlers.names) == 1
    elapsed[0] = 3 * INITIAL_BACKOFF_SECONDS
    assert not handlers.names


def test_a_handler_that_became_known_starts_again_with_the_initial_delay(elapsed):
    handlers, job = UnknownHandlers(store=None), ScheduledJob(callable_name="a.b")
    handlers.add(job)
    elapsed[0] = 3 * INITIAL_BACKOFF_SECONDS
    handlers.add(job)
    elapsed[0] = 4 * INITIAL_BACKOFF_SECONDS
    assert not handlers.names
