"""Acts on a job whose row no longer exists."""

import pytest
from django.db import transaction

from django_future import ScheduledJob, schedule_job
from tests.shop import jobs

pytestmark = pytest.mark.django_db(transaction=True)

ACTS = [
    ScheduledJob.cancel,
    ScheduledJob.run_now,
    ScheduledJob.retry,
    pytest.param(lambda job: job.move("5d"), id="move"),
]


@pytest.fixture
def rolled_back():
    """Return a job whose transaction was rolled back."""
    with transaction.atomic():
        job = schedule_job("1h", jobs.echo)
        transaction.set_rollback(True)
    return job


@pytest.mark.parametrize("act", ACTS)
def test_an_act_on_a_job_that_was_rolled_back_says_so(rolled_back, act):
    with pytest.raises(ScheduledJob.DoesNotExist, match="was rolled back"):
        act(rolled_back)


@pytest.mark.parametrize("act", ACTS)
def test_an_act_on_a_job_that_was_rolled_back_leaves_the_job_with_its_id_alone(rolled_back, act):
    """SQLite gives the id to the next row."""
    other = schedule_job("1h", jobs.echo)
    if act is ScheduledJob.retry:
        other.cancel()
    rolled_back.pk = other.pk
    row = ScheduledJob.objects.filter(pk=other.pk).values()
    before = row.get()
    with pytest.raises(ScheduledJob.DoesNotExist):
        act(rolled_back)
    assert row.get() == before
