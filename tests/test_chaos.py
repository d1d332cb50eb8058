"""Workers that are suspended, killed and disconnected: no job is lost, no effect is doubled."""

import random
import signal

import pytest

from django_future import ScheduledJob, schedule_job
from django_future.models import Worker
from django_future.status import Status
from tests.chaos import hostile, jobs, ledger
from tests.chaos.crew import Crew
from tests.chaos.trial import Plan, run
from tests.chaos.worker import BREAK_FENCE
from tests.shop.models import Trace
from tests.support.processes import stop
from tests.support.waiting import eventually, wait_for_exit

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def test_no_job_is_lost_while_workers_are_killed(tmp_path):
    seed = random.randrange(10**6)
    plan = Plan(seed=seed, jobs=300, workers=3, seconds=8)
    assert run(plan, tmp_path / "log").verdict.faults == [], plan


def test_a_worker_that_resumes_after_its_job_was_rescued_changes_nothing(take_over):
    take_over()
    assert ledger.judge(1).faults == []


def test_the_chaos_ledger_detects_a_broken_fence(take_over):
    """Let the worker whose job was rescued still record the end of its job."""
    take_over(**{BREAK_FENCE: "1"})
    assert "the effect of job 0 is there 1 times too often" in ledger.judge(1).faults


@pytest.fixture
def take_over(tmp_path, hold_file):
    """Return a function that suspends a worker in its handler until its job is done elsewhere."""

    def take_over(**environment):
        schedule_job("0s", jobs.hold_and_leave, args=[0, str(hold_file)])
        with Crew(1, tmp_path / "late.log", environment) as late:
            eventually(hold_file.exists)
            [stopped] = late.processes
            stop(stopped)
            with Crew(1, tmp_path / "other.log", environment) as other:
                eventually(lambda: ScheduledJob.objects.get().lease > 1)
                hold_file.unlink()
                eventually(lambda: is_complete() or hold_file.unlink(missing_ok=True))
                other.terminate(other.processes[0])
                assert wait_for_exit(other.processes[0]) == 0
            stopped.send_signal(signal.SIGCONT)
            eventually(lambda: has_answered(is_broken=BREAK_FENCE in environment))
            late.terminate(stopped)
            assert wait_for_exit(stopped) == 0
            eventually(lambda: not Worker.objects.exists())

    return take_over


def is_complete():
    return ScheduledJob.objects.get().status == Status.COMPLETE


def has_answered(*, is_broken):
    """Return whether the late worker has executed the job, if the fence is broken."""
    return not is_broken or Trace.objects.count() == 2


@pytest.mark.parametrize("threads", ["1", "4"])
def test_hostile_handlers_end_as_they_should_in_any_order(threads, start_worker):
    seed = random.randrange(10**6)
    handlers = [
        *hostile.ENDS,
        *[jobs.leave, jobs.make_no_query] * len(hostile.ENDS),
    ]
    random.Random(seed).shuffle(handlers)
    ledger.schedule_each(handlers)
    code = wait_for_exit(start_worker("--burst", "--threads", threads))
    assert (ledger.judge(len(handlers)).faults, code) == ([], 0), f"seed {seed}"
    assert set(ScheduledJob.objects.values_list("attempts", "rescues")) == {(1, 0)}, f"seed {seed}"
