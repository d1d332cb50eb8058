"""One pass over the due jobs, which always ends."""

from itertools import islice

import pytest

from django_future import ScheduledJob, schedule_job
from django_future.status import Status
from django_future.worker.run_once import one_pass
from tests.shop import flaky, jobs

pytestmark = pytest.mark.django_db(transaction=True)

MAX_OUTCOMES = 20  # a pass with more outcomes would never end


def outcomes_of_a_pass():
    """Return the outcomes of all jobs due within an hour, which includes jobs retried now."""
    return list(islice(one_pass(now="1h"), MAX_OUTCOMES))


def test_a_retry_without_delay_runs_in_the_next_pass():
    job = flaky.come_again.schedule("0s")
    schedule_job("1m", jobs.echo)
    assert len(outcomes_of_a_pass()) == 2
    job.refresh_from_db()
    assert (job.status, job.attempts, job.worker) == (Status.SCHEDULED, 1, "")


def test_jobs_that_retry_each_other_run_once_in_a_pass():
    for _ in range(3):
        flaky.retry_others.schedule("0s")
    assert len(outcomes_of_a_pass()) == 3
    assert ScheduledJob.objects.scheduled().exists()


def test_a_job_cancelled_by_an_earlier_job_of_the_pass_does_not_run():
    cancelled = schedule_job("2m", jobs.echo)
    first = flaky.cancel.schedule("1m", cancelled.pk)
    assert [outcome.job for outcome in outcomes_of_a_pass()] == [first]
