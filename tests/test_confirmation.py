"""The confirmation of prefetched jobs before they start."""

from datetime import timedelta

import pytest

from django_future import clock, schedule_job
from django_future.exceptions import LeaseLost
from django_future.store import Session, store_for, transitions
from django_future.worker.confirmation import Confirmation
from django_future.worker.delay_queue import DelayQueue
from django_future.worker.heartbeat import new_worker
from tests.shop import jobs

pytestmark = pytest.mark.django_db


@pytest.fixture
def store():
    return store_for("default")


@pytest.fixture
def claimed(store):
    """Return four jobs that a worker has claimed."""
    for _ in range(4):
        schedule_job("0s", jobs.echo)
    return store.claim(new_worker(), at=store.now(), limit=4)


@pytest.fixture
def confirm(store, claimed):
    """Return a function that confirms a job, while all jobs but the first wait."""
    ready, session = DelayQueue(store.now), Session(store)
    ready.put(claimed[1:])
    confirmation = Confirmation(store, ready)
    return lambda job, since: confirmation.confirm(job, session, clock.to_row(since))


def test_one_query_confirms_all_waiting_jobs(claimed, confirm, store, django_assert_num_queries):
    since = store.now()
    with django_assert_num_queries(1):
        for job in claimed:
            confirm(job, since)


def test_a_confirmation_that_is_too_old_is_repeated(
    claimed, confirm, store, django_assert_num_queries
):
    confirm(claimed[0], store.now())
    with django_assert_num_queries(1):
        confirm(claimed[1], store.now() + timedelta(seconds=1))


def test_a_confirmation_does_not_change_started_at(claimed, confirm, store):
    started_at = [job.started_at for job in claimed]
    confirm(claimed[0], store.now())
    assert [job.started_at for job in claimed] == started_at


def test_a_job_cancelled_after_its_claim_is_not_confirmed_with_the_others(claimed, confirm, store):
    since = store.now()
    store.jobs.get(pk=claimed[1].pk).cancel(running=True)
    confirm(claimed[0], since)
    with pytest.raises(LeaseLost):
        confirm(claimed[1], since)


def test_a_job_claimed_by_another_worker_is_not_confirmed(claimed, confirm, store):
    transitions.release(store, claimed[0])
    store.claim(new_worker(), at=store.now(), limit=1)
    with pytest.raises(LeaseLost):
        confirm(claimed[0], store.now())


def test_the_confirmed_jobs_are_those_that_start_next(store):
    for number in range(100):
        schedule_job("0s", jobs.echo, priority=number % 7)
    ready = DelayQueue(store.now)
    for _ in range(2):
        ready.put(store.claim(new_worker(), at=store.now(), limit=50))
    expected = ready.first_due(30)
    assert [ready.take(wait=False) for _ in range(30)] == expected
