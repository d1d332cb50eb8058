"""The expected and the actual jobs and effects: each has the number of its job."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from django_future import ScheduledJob, schedule_jobs
from django_future.models import JobAttempt, Worker
from django_future.status import Status
from django_future.tasks.api import task_backends
from tests.chaos import hostile, jobs
from tests.shop.models import Trace

if TYPE_CHECKING:
    from django_future.scheduling.builder import JobSpec

WORKER_LOST = "django_future.exceptions.WorkerLost"
MAX_SLEEP_SECONDS = 0.3  # of a job
EVERY_NTH_IS_UNIQUE = 7
# Most jobs have the default. Where a claim has a transaction for each priority, one may fail.
PRIORITIES = (0, 0, 0, 5, -5)

# The weights of the handlers.
SHARES: dict[Any, int] = {
    jobs.leave: 40,
    jobs.make_no_query: 20,
    jobs.leave_slowly: 6,
    jobs.leave_and_fail: 12,
    jobs.leave_in_the_end: 10,
    jobs.leave_and_schedule: 12,
    jobs.leave_as_task: 20,
    jobs.leave_and_fail_as_task: 6,
    **dict.fromkeys(hostile.ENDS, 1),
}

# The possible ends of the jobs that need not be complete.
ENDS = {handler.__name__: ends for handler, ends in hostile.ENDS.items()} | {
    jobs.leave_and_fail.__name__: {Status.FAILED},
    jobs.leave_and_fail_as_task.func.__name__: {Status.FAILED},
}


def schedule(count: int, over: timedelta, chance: Random) -> None:
    """Schedule `count` numbered jobs with random handlers over a period of time."""
    handlers = chance.choices(list(SHARES), weights=list(SHARES.values()), k=count)
    specs: list[JobSpec] = []
    for number, handler in enumerate(handlers):
        args: list[object] = [number]
        if handler is jobs.leave_slowly:
            args.append(chance.uniform(0, MAX_SLEEP_SECONDS))
        if handler is jobs.leave_and_schedule:
            args.append(count + number)
        spec: JobSpec = {"when": over * chance.random(), "callable": handler, "args": args}
        spec["priority"] = chance.choice(PRIORITIES)
        if number % EVERY_NTH_IS_UNIQUE == 0:
            spec["unique"] = f"job {number}"
        specs.append(spec)
    schedule_jobs(specs)


def schedule_each(handlers: list[Callable[..., object]]) -> None:
    """Schedule one numbered job for each of `handlers` for now."""
    schedule_jobs(
        {"when": "0s", "callable": handler, "args": [number], "unique": f"job {number}"}
        for number, handler in enumerate(handlers)
    )


def unfinished() -> int:
    """Return how many jobs have not ended."""
    return ScheduledJob.objects.exclude(status__in=Status.final()).count()


@dataclass
class Verdict:
    """The result of a trial: it has passed if there are no faults."""

    states: Counter[str]
    rescues: int
    given_up: int
    faults: list[str] = field(default_factory=list)


def judge(count: int) -> Verdict:
    """Compare the expected effects of `count` jobs with the database."""
    found = list(ScheduledJob.objects.all())
    verdict = Verdict(
        states=Counter(job.status for job in found),
        rescues=sum(job.rescues for job in found),
        given_up=sum(_is_given_up(job) for job in found),
    )
    verdict.faults += _missing_or_doubled_jobs(found, count)
    verdict.faults += _wrong_ends(found)
    verdict.faults += _wrong_counts(found)
    verdict.faults += _missing_or_doubled_effects(found)
    verdict.faults += _missing_or_doubled_failures(found)
    verdict.faults += _wrong_results(found)
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
        name = _name_of(job)
        if job.status not in ENDS.get(name, {Status.COMPLETE}) and not _is_given_up(job):
            words = (job.error.strip().splitlines() or ["without an error"])[-1]
            yield f"job {job.args[0]}, {name}, is {job.status}: {words[:200]}"


def _wrong_counts(found: list[ScheduledJob]) -> Iterator[str]:
    for job in found:
        if job.unique_key is not None:
            yield f"job {job.args[0]}, {_name_of(job)}, keeps its unique key"
        if job.attempts < 1:
            yield f"job {job.args[0]}, {_name_of(job)}, ended with {job.attempts} attempts"


def _missing_or_doubled_effects(found: list[ScheduledJob]) -> Iterator[str]:
    expected = Counter(
        str(job.args[0])
        for job in found
        if job.status == Status.COMPLETE and not _calls(job, jobs.make_no_query)
    )
    actual = Counter(Trace.objects.values_list("text", flat=True))
    yield from (f"the effect of job {number} is missing" for number in expected - actual)
    for number, times in (actual - expected).items():
        yield f"the effect of job {number} is there {times} times too often"


def _missing_or_doubled_failures(found: list[ScheduledJob]) -> Iterator[str]:
    recorded = Counter(JobAttempt.objects.values_list("job_id", flat=True))
    for job in found:
        is_done = job.status == Status.COMPLETE and _calls(job, jobs.leave_in_the_end)
        if is_done and recorded[job.pk] != jobs.FAILURES:
            yield f"job {job.args[0]} is complete with {recorded[job.pk]} failed attempts"


def _wrong_results(found: list[ScheduledJob]) -> Iterator[str]:
    for job in found:
        if job.task_backend is not None:
            result = task_backends[job.task_backend].get_result(str(job.pk))
            yield from (f"task {job.args[0]} {lie}" for lie in _lies(job, result))


def _lies(job: ScheduledJob, result: Any) -> Iterator[str]:
    """Yield what the result of a task says that its row does not."""
    is_complete = job.status == Status.COMPLETE
    if (str(result.status) == "SUCCESSFUL") is not is_complete:
        yield f"is {job.status}, but its result is {result.status}"
    if result.worker_ids[-1:] != [job.worker] or len(result.worker_ids) > job.attempts:
        yield f"had {job.attempts} attempts, the last by {job.worker}: {result.worker_ids}"
    # If a worker is lost before the start, its claim counts for the row, not for the task.
    if is_complete and result.return_value != result.attempts:
        yield f"had {result.attempts} attempts, but returned {result.return_value}"
    if not is_complete and not result.errors:
        yield "failed, but its result has no error"


def _is_given_up(job: ScheduledJob) -> bool:
    return job.status == Status.FAILED and job.error.startswith(WORKER_LOST)


def _calls(job: ScheduledJob, handler: object) -> bool:
    return _name_of(job) == str(getattr(handler, "__name__", ""))


def _name_of(job: ScheduledJob) -> str:
    return str(job.callable_name).rpartition(".")[2]
