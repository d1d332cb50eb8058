"""A backend that keeps every promise, in the memory of one process, to test the suite itself."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from threading import get_ident
from traceback import format_exception

from django.utils import timezone

from django_future.conformance.compat import (
    AnyTask,
    BaseTaskBackend,
    TaskContext,
    TaskError,
    TaskResult,
    TaskResultDoesNotExist,
    TaskResultStatus,
    task_enqueued,
    task_finished,
    task_started,
)

ROWS: dict[str, "Row"] = {}
IDS = count(1)


@dataclass
class Row:
    """A task and what came of it."""

    task: AnyTask
    arguments: str
    due_at: datetime
    enqueued_at: datetime
    id: str = field(default_factory=lambda: f"row-{next(IDS)}")
    status: TaskResultStatus = TaskResultStatus.READY
    started_at: datetime | None = None
    last_attempted_at: datetime | None = None
    finished_at: datetime | None = None
    errors: list[TaskError] = field(default_factory=list)
    worker_ids: list[str] = field(default_factory=list)
    return_value: str | None = None


class MemoryBackend(BaseTaskBackend):
    """Keeps rows in a dictionary."""

    supports_async_task = supports_defer = supports_get_result = supports_priority = True

    def validate_task(self, task):
        if isinstance(task.run_after, timedelta):
            task = unvalidated(task, run_after=timezone.now() + task.run_after)
        super().validate_task(task)

    def enqueue(self, task, args, kwargs):
        self.validate_task(task)
        now = timezone.now()
        due_at = now + task.run_after if isinstance(task.run_after, timedelta) else task.run_after
        row = Row(task, self.dump([list(args), kwargs]), due_at or now, now)
        ROWS[row.id] = row
        self.send(task_enqueued, row)
        return self.result_of(row)

    def get_result(self, result_id):
        try:
            return self.result_of(ROWS[result_id])
        except KeyError:
            raise TaskResultDoesNotExist(result_id) from None

    def result_of(self, row):
        args, kwargs = self.load(row.arguments)
        times = {name: getattr(row, name) for name in ("enqueued_at", *self.times)}
        result = TaskResult(
            task=row.task,
            id=row.id,
            status=row.status,
            args=args,
            kwargs=kwargs,
            backend=self.alias,
            errors=list(row.errors),
            worker_ids=list(row.worker_ids),
            **times,
        )
        if row.return_value is not None:
            object.__setattr__(result, "_return_value", self.load(row.return_value))
        return result

    times = ("started_at", "last_attempted_at", "finished_at")

    def run_due(self):
        while (row := self.next_row()) is not None:
            self.execute(row)

    def next_row(self):
        rows = [row for row in ROWS.values() if self.may_run(row)]
        return min(rows, key=self.rank, default=None)

    def may_run(self, row):
        is_due = row.status == "READY" and row.due_at <= timezone.now()
        return is_due and row.task.backend == self.alias and self.serves(row.task.queue_name)

    def serves(self, queue):
        return not self.queues or queue in self.queues

    def rank(self, row):
        return -row.task.priority, row.enqueued_at

    def execute(self, row):
        self.start(row)
        self.send(task_started, row)
        try:
            row.return_value = self.dump(self.call(row))
        except BaseException as error:  # noqa: BLE001
            row.errors.append(self.describe(error))
            if len(row.errors) < self.options.get("ATTEMPTS", 1):
                row.status = TaskResultStatus.READY
                row.due_at = timezone.now() + timedelta(seconds=self.options["DELAY"])
                return
            self.finish(row, TaskResultStatus.FAILED)
        else:
            self.finish(row, TaskResultStatus.SUCCESSFUL)

    def start(self, row):
        row.status = TaskResultStatus.RUNNING
        row.last_attempted_at = timezone.now()
        row.started_at = row.started_at or row.last_attempted_at
        row.worker_ids.append(f"worker-{get_ident()}")

    def finish(self, row, status):
        row.status, row.finished_at = status, timezone.now()
        self.send(task_finished, row)

    def call(self, row):
        args, kwargs = self.load(row.arguments)
        if row.task.takes_context:
            args = [self.context(row), *args]
        return row.task.call(*args, **kwargs)

    def context(self, row):
        return TaskContext(task_result=self.result_of(row))

    def dump(self, value):
        return json.dumps(value)

    def load(self, text):
        return json.loads(text)

    def describe(self, error):
        path = f"{type(error).__module__}.{type(error).__qualname__}"
        return TaskError(exception_class_path=path, traceback="".join(format_exception(error)))

    def send(self, signal, row):
        signal.send_robust(type(self), task_result=self.result_of(row))


def unvalidated(task, **changes):
    """Return a copy of a task without a validation."""
    copy = object.__new__(type(task))
    for name in task.__dataclass_fields__:
        object.__setattr__(copy, name, changes.get(name, getattr(task, name)))
    return copy
