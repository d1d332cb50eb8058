"""Jobs that wait in a worker's process are confirmed together before they start."""

from datetime import timedelta

import pytest

from django_future import schedule_job
from django_future.exceptions import LeaseLost
from django_future.store import store_for
from django_future.worker.confirmation import Confirmation
from django_future.worker.heartbeat import new_worker
from django_future.worker.ready import Ready
from tests.shop import jobs

pytestmark = pytest.mark.django_db

LONG_AGO = timedelta(seconds=1)


@pytest.fixture
def waiting():
    """Return jobs that were claimed a while ago, and what holds all but the first of them."""
    store = store_for("default")
    for _ in range(4):
        schedule_job("0s", jobs.echo)
    claimed = store.claim(new_worker(), at=store.now(), limit=4)
    for job in claimed:
        job.started_at -= LONG_AGO
    ready = Ready(store.now)
    ready.put(claimed[1:])
    return claimed, ready


def test_one_query_confirms_all_that_wait(waiting, django_assert_num_queries):
    [first, *others], ready = waiting
    claimed_at = first.started_at
    with django_assert_num_queries(1):
        Confirmation(store_for("default"), ready).confirm(first)
    assert all(job.started_at >= claimed_at + LONG_AGO for job in others)


def test_a_job_that_was_cancelled_meanwhile_is_not_confirmed_with_the_others(waiting):
    [first, cancelled, other, _], ready = waiting
    claimed_at = cancelled.started_at
    store_for("default").jobs.get(pk=cancelled.pk).cancel(running=True)
    Confirmation(store_for("default"), ready).confirm(first)
    assert (cancelled.started_at, other.started_at > claimed_at) == (claimed_at, True)


def test_a_job_that_another_worker_has_claimed_meanwhile_is_lost(waiting):
    [first, *_], ready = waiting
    store = store_for("default")
    store.release(first)
    store.claim(new_worker(), at=store.now(), limit=1)
    with pytest.raises(LeaseLost):
        Confirmation(store, ready).confirm(first)


def test_a_query_confirms_a_bounded_number_of_jobs(waiting):
    _, ready = waiting
    assert len(ready.first_due(2)) == 2


def test_the_jobs_that_start_next_are_those_that_are_confirmed():
    store = store_for("default")
    for number in range(100):
        schedule_job("0s", jobs.echo, priority=number % 7)
    ready = Ready(store.now)
    for _ in range(2):
        ready.put(store.claim(new_worker(), at=store.now(), limit=50))
    expected = ready.first_due(30)
    assert [ready.take(wait=False) for _ in range(30)] == expected
