"""What is to happen, and what did: each job has a number, and each effect bears it."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

from django_future import ScheduledJob, schedule_jobs
from django_future.models import JobAttempt, Worker
from django_future.status import Status
from tests.chaos import jobs
from tests.shop.models import Trace

if TYPE_CHECKING:
    from django_future.scheduling import JobSpec

GIVEN_UP = "django_future.exceptions.WorkerLost"
LONGEST = 0.3  # seconds that a job sleeps
SHARES: dict[Callable[..., object], int] = {
    jobs.leave: 40,
    jobs.ask_nothing: 20,
    jobs.leave_slowly: 6,
    jobs.leave_and_fail: 12,
    jobs.leave_in_the_end: 10,
    jobs.leave_and_schedule: 12,
}


def schedule(count: int, over: timedelta, chance: Random) -> None:
    """Schedule numbered jobs, most of which insert a row, sleep, raise or schedule another."""
    handlers = chance.choices(list(SHARES), weights=list(SHARES.values()), k=count)
    specs: list[JobSpec] = []
    for number, handler in enumerate(handlers):
        args: list[object] = [number]
        if handler is jobs.leave_slowly:
            args.append(chance.uniform(0, LONGEST))
        if handler is jobs.leave_and_schedule:
            args.append(count + number)
        specs.append({"when": over * chance.random(), "callable": handler, "args": args})
    schedule_jobs(specs)


def unfinished() -> int:
    """Return how many jobs are in no final state."""
    return ScheduledJob.objects.exclude(status__in=Status.final()).count()


@dataclass
class Verdict:
    """What was found in the end: nothing is wrong if there are no faults."""

    states: Counter[str]
    rescues: int
    given_up: int
    faults: list[str] = field(default_factory=list)


def judge(count: int) -> Verdict:
    """Compare what `count` jobs were to do with what the database holds."""
    found = list(ScheduledJob.objects.all())
    verdict = Verdict(
        states=Counter(job.status for job in found),
        rescues=sum(job.rescues for job in found),
        given_up=sum(_is_given_up(job) for job in found),
    )
    verdict.faults += _missing_or_doubled_jobs(found, count)
    verdict.faults += _wrong_ends(found)
    verdict.faults += _missing_or_doubled_effects(found)
    verdict.faults += _missing_or_doubled_failures(found)
    verdict.faults += [f"worker {worker} is still listed" for worker in Worker.objects.all()]
    return verdict


def _missing_or_doubled_jobs(found: list[ScheduledJob], count: int) -> Iterator[str]:
    children = [
        job.args[1]
        for job in found
        if _calls(job, jobs.leave_and_schedule) and job.status == Status.COMPLETE
    ]
    expected = Counter([*range(count), *children])
    actual = Counter(job.args[0] for job in found)
    yield from (f"job {number} was not scheduled" for number in expected - actual)
    yield from (f"job {number} was scheduled once too often" for number in actual - expected)


def _wrong_ends(found: list[ScheduledJob]) -> Iterator[str]:
    for job in found:
        number, fails = job.args[0], _calls(job, jobs.leave_and_fail)
        if job.status not in {Status.COMPLETE, Status.FAILED}:
            yield f"job {number} is {job.status}"
        elif job.status == Status.COMPLETE and fails:
            yield f"job {number} is complete although it raised"
        elif job.status == Status.FAILED and not fails and not _is_given_up(job):
            yield f"job {number} failed: {job.error.strip().splitlines()[-1]}"


def _missing_or_doubled_effects(found: list[ScheduledJob]) -> Iterator[str]:
    expected = Counter(
        str(job.args[0])
        for job in found
        if job.status == Status.COMPLETE and not _calls(job, jobs.ask_nothing)
    )
    actual = Counter(Trace.objects.values_list("text", flat=True))
    yield from (f"the effect of job {number} is missing" for number in expected - actual)
    for number, times in (actual - expected).items():
        yield f"the effect of job {number} is there {times} times too often"


def _missing_or_doubled_failures(found: list[ScheduledJob]) -> Iterator[str]:
    kept = Counter(JobAttempt.objects.values_list("job_id", flat=True))
    for job in found:
        is_done = job.status == Status.COMPLETE and _calls(job, jobs.leave_in_the_end)
        if is_done and kept[job.pk] != jobs.FAILURES:
            yield f"job {job.args[0]} is complete with {kept[job.pk]} failed attempts"


def _is_given_up(job: ScheduledJob) -> bool:
    return job.status == Status.FAILED and job.error.startswith(GIVEN_UP)


def _calls(job: ScheduledJob, handler: object) -> bool:
    return bool(job.callable_name.rpartition(".")[2] == getattr(handler, "__name__", None))
