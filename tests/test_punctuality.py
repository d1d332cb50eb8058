"""The work before the scheduled time of a job, which lets the job start on time."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from django_future import clock, schedule_job
from django_future.execution import executor
from django_future.execution.executor import execute
from django_future.execution.watchdog import Watchdog
from django_future.status import Status
from django_future.store import Session, leases, store_for
from django_future.worker.heartbeat import new_worker
from tests.shop import jobs

pytestmark = pytest.mark.django_db(transaction=True)

AHEAD = timedelta(seconds=0.5)


@pytest.fixture
def steps(monkeypatch):
    """Return the steps of a store, each with its time."""
    store, taken = store_for("default"), []

    def note(target, name):
        step = getattr(target, name)

        def noted(*args):
            taken.append((name, datetime.now(UTC)))
            return step(*args)

        monkeypatch.setattr(target, name, noted)

    monkeypatch.setattr(executor, "MAX_UNCONFIRMED_AHEAD", timedelta())
    note(leases, "confirm")
    note(store, "transaction")
    return taken


def claimed(callable_, *, ahead):
    """Schedule a job, and claim it before its time."""
    store = store_for("default")
    schedule_job(store.now() + ahead, callable_)
    [job] = store.claim(new_worker(), at=store.now() + 2 * AHEAD, limit=1)
    return job


def run(job, **options):
    store = store_for("default")
    time.sleep(0.001)  # so that the claim was earlier
    execute(job, Session(store), Watchdog(store, lambda *_: None), **options)
    job.refresh_from_db()


def test_a_job_is_confirmed_and_its_transaction_begun_before_its_time(steps):
    job = claimed(jobs.return_time, ahead=AHEAD)
    scheduled_at = clock.from_row(job.scheduled_at)
    run(job, waits_until_due=True)
    assert [name for name, at in steps if at < scheduled_at] == ["confirm", "transaction"]
    assert datetime.fromtimestamp(job.return_value, UTC) >= scheduled_at
    assert (job.status, job.started_at >= job.scheduled_at) == (Status.COMPLETE, True)


def test_a_prefetched_job_that_is_cancelled_does_not_start(steps):
    job = claimed(jobs.return_time, ahead=AHEAD)
    job.cancel(running=True)
    run(job, waits_until_due=True)
    assert (job.status, job.return_value) == (Status.CANCELLED, None)
    assert [name for name, _ in steps] == ["confirm"]


def test_a_one_off_run_does_not_wait_for_the_time_of_a_job():
    job = claimed(jobs.return_time, ahead=AHEAD)
    run(job)
    assert datetime.fromtimestamp(job.return_value, UTC) < clock.from_row(job.scheduled_at)
