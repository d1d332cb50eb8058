"""The results of tasks, read from the rows of their jobs."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from django_future import clock
from django_future.databases import jobs_database
from django_future.exceptions import FutureError, InvalidCallable, JobCancelled, JobExpired
from django_future.handlers import resolve
from django_future.models import JobAttempt, ScheduledJob
from django_future.models.fields import raw_value
from django_future.serialization import plain_of
from django_future.status import Status
from django_future.store.attempts import NOT_FAILED
from django_future.tasks.api import Task, TaskContext, TaskError, TaskResult, TaskResultStatus
from django_future.tasks.handler import TaskHandler

_STATUSES = {
    Status.SCHEDULED: TaskResultStatus.READY,
    Status.PARKED: TaskResultStatus.READY,
    Status.RUNNING: TaskResultStatus.RUNNING,
    Status.COMPLETE: TaskResultStatus.SUCCESSFUL,
    Status.FAILED: TaskResultStatus.FAILED,
    Status.EXPIRED: TaskResultStatus.FAILED,
    Status.CANCELLED: TaskResultStatus.FAILED,
}


def result_of(job: ScheduledJob, task: Any = None) -> "TaskResult[Any]":
    """Return the result of the task of `job` as the instance and its attempts say."""
    status = _status_of(job)
    earlier = _earlier_attempts(job)
    is_current = status is Status.RUNNING or status in Status.final()
    workers = [attempt.worker for attempt in earlier]
    has_own_row = bool(earlier) and earlier[-1].number == job.attempts
    started_at = _start_of(job) if is_current else None
    if is_current and job.worker and started_at and not has_own_row:
        workers.append(job.worker)
    first_at = earlier[0].started_at if earlier else started_at
    last_at = started_at or (earlier[-1].started_at if earlier else None)
    result: TaskResult[Any] = TaskResult(
        task=task_of(job) if task is None else with_values_of(job, task),
        id=str(job.pk),
        status=_STATUSES[status],
        enqueued_at=job.created_at,
        started_at=first_at,
        last_attempted_at=last_at,
        finished_at=job.finished_at if status in Status.final() else None,
        args=[],
        kwargs={},
        backend=job.task_backend or "",
        errors=[*_errors(job, earlier), *_error_without_attempt(job, status)],
        worker_ids=workers,
    )
    # Not as arguments, which are restricted to JSON.
    args, kwargs = _decoded(job, "args"), _decoded(job, "kwargs")
    object.__setattr__(result, "args", list(args) if isinstance(args, list | tuple) else [args])
    object.__setattr__(result, "kwargs", dict(kwargs) if isinstance(kwargs, dict) else {})
    if status is Status.COMPLETE:
        object.__setattr__(result, "_return_value", _decoded(job, "return_value"))
    return result


def context_of(job: ScheduledJob, task: Any) -> TaskContext:
    """Return the context that the function of a task gets as its first argument."""
    return TaskContext(task_result=result_of(job, task))


def task_of(job: ScheduledJob) -> Any:
    """Return the task of `job`. If its code is gone, the function raises `HandlerUnknown`."""
    try:
        handler = resolve(job.callable_name, None, is_of_task=job.is_signed)
    except InvalidCallable as error:
        return with_values_of(job, None, _missing_function(job.callable_name, error))
    if not isinstance(handler, TaskHandler):
        return with_values_of(job, None, handler)
    task = with_values_of(job, handler.task)
    changed = {
        name: value
        for name, value in _options_of_call(job, handler).items()
        if getattr(task, name, value) != value
    }
    return task if not changed else _copy_with(task, changed)


def _options_of_call(job: ScheduledJob, handler: TaskHandler) -> dict[str, Any]:
    """Return the options of one job that `using()` has given to its task."""
    stored = job.options if job.is_signed else None
    options = dict(stored) if isinstance(stored, dict) else {}
    defaults = handler.on(job.task_backend).job_options
    for name, column in (("max_attempts", "max_attempts"), ("rescue", "is_rescuable")):
        if getattr(job, column) != getattr(defaults, name):
            options[name] = getattr(job, column)
    return options


def _copy_with(task: Any, changes: dict[str, Any]) -> Any:
    found: Any = object.__new__(type(task))
    for field in fields(task):
        value = changes.get(field.name, getattr(task, field.name))
        object.__setattr__(found, field.name, value)
    return found


def with_values_of(job: ScheduledJob, task: Any, function: Any = None) -> Any:
    """Return a copy of a task with the values of its row, without a validation.

    The queue of a finished task may be gone from the settings.
    """
    if task is not None and _has_values_of(task, job):
        return task
    kind = Task if task is None else type(task)
    found: Any = object.__new__(kind)
    for field in fields(kind):
        value = field.default if task is None else getattr(task, field.name)
        object.__setattr__(found, field.name, value)
    values = {
        "func": function or task.func,
        "priority": job.priority,
        "backend": job.task_backend,
        "queue_name": job.queue_name,
        "run_after": job.run_after,
        "takes_context": bool(task is not None and task.takes_context),
    }
    for name, value in values.items():
        object.__setattr__(found, name, value)
    return found


def _status_of(job: ScheduledJob) -> Status:
    """Return the status of a job; a worker claims a job shortly before it is due."""
    status = Status(job.status)
    is_claimed_early = (
        status is Status.RUNNING
        and job.started_at is not None
        and job.started_at < job.scheduled_at
        and clock.from_row(job.scheduled_at) > clock.now()
    )
    return Status.SCHEDULED if is_claimed_early else status


def _start_of(job: ScheduledJob) -> datetime | None:
    """Return when the attempt has started, which is not before the job was due."""
    if job.started_at is None or job.status != Status.RUNNING:
        return job.started_at
    return max(job.started_at, job.scheduled_at)


def _decoded(job: ScheduledJob, name: str) -> Any:
    """Return a stored value; what its row contains if it refers to what is gone, or is damaged."""
    try:
        return getattr(job, name)
    except FutureError:
        return plain_of(str(raw_value(job, name)))


def _has_values_of(task: Any, job: ScheduledJob) -> bool:
    # Most results are those of `enqueue`, and a task cannot change.
    names = ("priority", "queue_name", "run_after")
    is_same = all(getattr(task, name) == getattr(job, name) for name in names)
    return is_same and bool(task.backend == job.task_backend)


def _missing_function(path: str, error: FutureError) -> Any:
    def missing(*_: Any, **__: Any) -> None:
        raise error

    missing.__module__, _, missing.__qualname__ = path.rpartition(".")
    missing.__name__ = missing.__qualname__
    return missing


def _earlier_attempts(job: ScheduledJob) -> Sequence[JobAttempt]:
    is_first = job.attempts == 1 and job.status in {Status.RUNNING, Status.COMPLETE}
    if is_first or job.attempts == 0:
        return []
    alias = jobs_database(instance=job)
    return list(JobAttempt.objects.using(alias).filter(job_id=job.pk).order_by("number", "pk"))


def _errors(job: ScheduledJob, attempts: Sequence[JobAttempt]) -> list[TaskError]:
    return [
        TaskError(exception_class_path=attempt.exception, traceback=attempt.traceback)
        for attempt in attempts
        if attempt.exception not in NOT_FAILED
        or (job.status == Status.FAILED and attempt.number == job.attempts)
    ]


def _error_without_attempt(job: ScheduledJob, status: Status) -> list[TaskError]:
    """Return the error of a task that ended without an exception."""
    if status is Status.EXPIRED:
        when = job.expires_at and clock.from_row(job.expires_at)
        return [_error(JobExpired, f"The task had not started when it expired at {when}.")]
    if status is Status.CANCELLED:
        return [_error(JobCancelled, job.error or "The task was cancelled.")]
    return []


def _error(kind: type[FutureError], text: str) -> TaskError:
    path = f"{kind.__module__}.{kind.__qualname__}"
    return TaskError(exception_class_path=path, traceback=f"{path}: {text}")
