"""Concurrent one-off runs, and processes that are killed."""

import random

import pytest

from django_future import ScheduledJob, schedule_job, schedule_jobs
from django_future.models import Worker
from django_future.status import Status
from tests.shop import jobs
from tests.shop.models import Trace
from tests.support.processes import start_runner
from tests.support.waiting import eventually, wait_for_exit

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

JOBS, RUNNERS = 2000, 16


@pytest.fixture
def runners():
    """Return a list of processes that are killed after the test."""
    processes = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def due(db):
    """Schedule jobs for now, each with its own trace."""
    schedule_jobs(
        [{"when": "0s", "callable": jobs.trace, "args": [str(number)]} for number in range(JOBS)]
    )


def assert_each_ran_exactly_once():
    left = ScheduledJob.objects.exclude(status=Status.COMPLETE)
    assert not left, {(job.status, job.error) for job in left}
    texts = Trace.objects.values_list("text", flat=True)
    assert sorted(texts, key=int) == [str(number) for number in range(JOBS)]


def test_sixteen_one_off_runs_execute_each_job_once(due, runners):
    runners += [start_runner() for _ in range(RUNNERS)]
    assert [wait_for_exit(process) for process in runners] == [0] * RUNNERS
    assert_each_ran_exactly_once()
    assert not Worker.objects.exists()


def test_killed_processes_leave_nothing_half_done(due, runners):
    """Kill a random process repeatedly, and replace it."""
    chance = random.Random(2000)
    while unfinished := ScheduledJob.objects.exclude(status__in=Status.final()).count():
        runners[:] = [process for process in runners if process.poll() is None]
        runners += [start_runner(HEARTBEAT="1s") for _ in range(RUNNERS - len(runners))]
        wait_until_fewer_than(unfinished - JOBS // 20, runners)
        chance.choice(runners).kill()
    assert_each_ran_exactly_once()


def test_the_job_of_a_killed_process_runs_again_once(runners, hold_file):
    job = schedule_job("0s", jobs.hold, args=[str(hold_file)])
    victim = start_runner(HEARTBEAT="1s")
    runners.append(victim)
    eventually(hold_file.exists)
    victim.kill()
    wait_for_exit(victim)
    hold_file.unlink()
    while ScheduledJob.objects.exclude(status=Status.COMPLETE).exists():
        runner = start_runner(HEARTBEAT="1s")
        runners.append(runner)
        eventually(
            lambda: runner.poll() is not None or hold_file.unlink(missing_ok=True)  # noqa: B023
        )
    job.refresh_from_db()
    assert (job.rescues, Trace.objects.count()) == (1, 1)


def wait_until_fewer_than(unfinished, runners):
    """Wait until fewer jobs are unfinished, or until all runners have ended."""
    left = ScheduledJob.objects.exclude(status__in=Status.final())
    eventually(
        lambda: (
            left.count() <= max(unfinished, 0)
            or all(process.poll() is not None for process in runners)
        )
    )
