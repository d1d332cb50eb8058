"""The backend of Django's Tasks API: `TASKS = {"default": {"BACKEND": "...FutureBackend"}}`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.checks import CheckMessage, Error
from django.db import connections

from django_future.exceptions import InvalidOption, SchedulingError
from django_future.options import JobOptions, check_delays, validate_queue_name
from django_future.remedies import no_such
from django_future.tasks.api import (
    BaseTaskBackend,
    InvalidTask,
    InvalidTaskBackend,
    Task,
    TaskResult,
    TaskResultDoesNotExist,
)
from django_future.tasks.options import own_options
from django_future.tasks.task import FutureTask
from django_future.tasks.validation import check_task

if TYPE_CHECKING:
    from django_future.models import ScheduledJob
    from django_future.scheduling.builder import Draft

    Call = tuple[Task[..., Any], Sequence[Any], dict[str, Any]]

# No import of models above: a module with tasks may be imported before the apps are ready.

_JOB_OPTIONS = {
    "MAX_ATTEMPTS": "max_attempts",
    "BACKOFF": "backoff",
    "TIMEOUT": "timeout",
    "EXPIRES": "expires",
    "ATOMIC": "atomic",
}
_OPTIONS = [*_JOB_OPTIONS, "DATABASE", "STRICT_JSON"]
MAX_ID_DIGITS = 18
MAX_VALID_TASKS = 1000  # that need no other validation
MAX_ALIAS_LENGTH = 100  # of the column that stores it


class FutureBackend(BaseTaskBackend):
    """Enqueues tasks as jobs, which a worker or `run_jobs` runs.

    Its `OPTIONS`: `MAX_ATTEMPTS` (1), `BACKOFF` ("exponential"), `TIMEOUT` (None), `EXPIRES` (None,
    which means never), `ATOMIC` (True), `DATABASE` (the choice of the router), and `STRICT_JSON`
    (True).
    """

    task_class = FutureTask
    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        _check_shape(alias, params)
        super().__init__(alias, params)
        # By their ids, which no other object can have as long as they are here.
        self._valid_tasks: dict[int, Task[..., Any]] = {}

    def validate_task(self, task: "Task[..., Any]") -> None:
        """Raise `InvalidTask` unless this backend can run `task`."""
        # A task cannot change, and other settings make another backend. But USE_TZ may change.
        is_cached = task.run_after is None
        if is_cached and task is self._valid_tasks.get(id(task)):
            return
        self._validate(task)
        if len(self._valid_tasks) >= MAX_VALID_TASKS:
            self._valid_tasks.clear()
        if is_cached:
            self._valid_tasks[id(task)] = task

    def _validate(self, task: "Task[..., Any]") -> None:
        check_task(task, self.alias, self.queues)
        # Django's validation does not know a timedelta.
        is_delay = isinstance(task.run_after, timedelta)
        validated: Any = SimpleNamespace(
            func=task.func,
            takes_context=task.takes_context,
            priority=task.priority,
            queue_name=task.queue_name,
            run_after=None if is_delay else task.run_after,
        )
        super().validate_task(validated)

    def enqueue(self, task: "Task[..., Any]", args: Any, kwargs: Any) -> "TaskResult[Any]":
        """Enqueue `task` as a row in the open transaction, and return its result.

        Raises `TypeError` for arguments that are not JSON, and `InvalidTask`.
        """
        from django_future.scheduling.jobs import add_draft  # noqa: PLC0415

        self.validate_task(task)
        draft = self.draft_of(task, args, kwargs)
        return _enqueued(task, draft, add_draft(draft))

    def enqueue_many(self, calls: "Iterable[Call]") -> "list[TaskResult[Any]]":
        """Enqueue many calls, each a task, its args and its kwargs, in few statements.

        All calls are checked before the first row is written. Raises what `enqueue` raises.
        """
        from django_future.scheduling.jobs import add_drafts  # noqa: PLC0415

        tasks, drafts = [], []
        for task, args, kwargs in calls:
            self.validate_task(task)
            tasks.append(task)
            drafts.append(self.draft_of(task, args, kwargs))
        return [
            _enqueued(task, draft, job)
            for task, draft, job in zip(tasks, drafts, add_drafts(drafts), strict=True)
        ]

    def draft_of(self, task: Any, args: Any, kwargs: Any) -> "Draft":
        """Return the unsaved job of a call of `task`, which has been validated.

        Raises `TypeError` for arguments that are not JSON, and `InvalidTask`.
        """
        from django_future.scheduling.builder import SchedulingContext, build  # noqa: PLC0415

        context = SchedulingContext.current()
        own: Any = own_options(task)
        expires = own.pop("expires", self.job_options.expires)
        own.pop("sensitive_arguments", None)  # that of the declared task, which is always read
        when = context.now if task.run_after is None else task.run_after
        try:
            draft = build(context, when, task, None, expires, args, kwargs, **own)
        except SchedulingError as error:
            raise InvalidTask(str(error)) from error
        if task.run_after is not None:
            draft.job.run_after = draft.job.scheduled_at
        return draft

    def get_result(self, result_id: str) -> "TaskResult[Any]":
        """Return the result with this id.

        Raises `TaskResultDoesNotExist`, also for the id of a job that is no task of this backend.
        """
        from django_future.databases import jobs_database  # noqa: PLC0415
        from django_future.models import ScheduledJob  # noqa: PLC0415
        from django_future.task_results import result_of  # noqa: PLC0415

        text = str(result_id)
        # int() also reads digits of other scripts, spaces and underscores.
        if text.isascii() and text.isdigit() and len(text) <= MAX_ID_DIGITS and text[0] != "0":
            jobs = ScheduledJob.objects.using(jobs_database(self.database))
            for job in jobs.filter(pk=int(text), task_backend=self.alias):
                return result_of(job)
        raise TaskResultDoesNotExist(result_id)

    def check(self, **_: Any) -> list[CheckMessage]:
        """Return what is wrong with the settings of the backend."""
        return [Error(text, id="django_future.E005") for text in self._faults()]

    @property
    def database(self) -> str | None:
        """The alias of the database in its `OPTIONS`, or None for the choice of the router."""
        alias: str | None = self.options.get("DATABASE")
        return alias

    @cached_property
    def job_options(self) -> JobOptions:
        """The options of its tasks, where a task does not give its own.

        Raises `InvalidTaskBackend`.
        """
        if unknown := set(self.options) - set(_OPTIONS):
            raise InvalidTaskBackend(f"{self._place} has {no_such('option', unknown, _OPTIONS)}")
        if not isinstance(self.options.get("STRICT_JSON", True), bool):
            raise InvalidTaskBackend(
                f"{self._place}['STRICT_JSON'] is {self.options['STRICT_JSON']!r}. Give True or "
                "False."
            )
        # Without a query and without a model, because the apps may not be ready.
        if self.database is not None and self.database not in list(connections):
            raise InvalidTaskBackend(
                f"{self._place}['DATABASE'] is {self.database!r}, which DATABASES does not have. "
                f"Use one of {', '.join(map(repr, connections))}."
            )
        given: Any = {
            option: self.options[name]
            for name, option in _JOB_OPTIONS.items()
            if name in self.options
        }
        try:
            options = JobOptions(**{"expires": None, **given})
            check_delays(options)
        except (InvalidOption, TypeError) as error:
            raise InvalidTaskBackend(f"{self._place}: {error}") from error
        return options

    @property
    def _place(self) -> str:
        return f"TASKS[{self.alias!r}]['OPTIONS']"

    def _faults(self) -> Iterator[str]:
        if not apps.is_installed("django_future"):
            yield f"TASKS[{self.alias!r}] needs 'django_future' in INSTALLED_APPS. Add it."
        for name in sorted(self.queues):
            try:
                validate_queue_name(name)
            except InvalidOption as error:
                yield f"TASKS[{self.alias!r}]['QUEUES']: {error}"
        try:
            self.job_options  # noqa: B018 - computed here
        except InvalidTaskBackend as error:
            yield str(error)


def _check_shape(alias: str, params: Mapping[str, Any]) -> None:
    queues, options = params.get("QUEUES", []), params.get("OPTIONS", {})
    if len(alias) > MAX_ALIAS_LENGTH:
        raise InvalidTaskBackend(
            f"The alias {alias!r} in TASKS has more than {MAX_ALIAS_LENGTH} characters. Use a "
            "shorter one."
        )
    if not isinstance(queues, list | tuple | set | frozenset) or not all(
        isinstance(name, str) for name in queues
    ):
        raise InvalidTaskBackend(
            f"TASKS[{alias!r}]['QUEUES'] is {queues!r}. Give a list of names, or [] for any queue."
        )
    if not isinstance(options, dict):
        raise InvalidTaskBackend(f"TASKS[{alias!r}]['OPTIONS'] is {options!r}. Give a dictionary.")


def _enqueued(task: Any, draft: "Draft", job: "ScheduledJob") -> "TaskResult[Any]":
    """Return the result of an enqueued task, and announce it unless its unique key was taken."""
    from django_future.task_results import result_of  # noqa: PLC0415
    from django_future.task_signals import send_enqueued  # noqa: PLC0415

    result = result_of(job, task)
    if job is draft.job:
        send_enqueued(result, job._state.db or "default")
    return result
