"""Moves the waiting tasks of django-tasks-db to jobs of a backend of Django's Tasks API."""

import json
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import DataError, IntegrityError, connections, transaction

from django_future import clock, handlers
from django_future.databases import jobs_database
from django_future.exceptions import FutureError
from django_future.importers.carrying import Outcome
from django_future.importers.entry import Entry, NotCarriedOver
from django_future.importers.instants import shown
from django_future.importers.old_tables import Row, read_table
from django_future.models import ScheduledJob
from django_future.scheduling.jobs import add_draft
from django_future.store import Store, store_for
from django_future.store.contention import with_retries, write_transaction
from django_future.tasks.handler import TaskHandler

if TYPE_CHECKING:
    from django_future.scheduling.builder import Draft

TABLE = "django_tasks_database_dbtaskresult"
_WAITING = ("READY", "NEW")  # NEW in its first versions
# django-tasks-db stores this year for a task that may run at once. Its first versions stored NULL.
_NO_TIME_YEAR = 9998


def read_entries(alias: str) -> Iterator[Entry]:
    """Yield what becomes of each task of the database `alias` that waits or runs.

    Raises `UnreadableTable`.
    """
    rows = read_table(
        alias, TABLE, condition="status IN ('READY', 'NEW', 'RUNNING')", order="enqueued_at"
    )
    return (_entry(row) for row in rows)


def carry_over(
    entry: Entry, source: str, database: str | None = None, *, is_dry_run: bool
) -> Outcome:
    """Move one task: write its job, and delete its row in the database `source`.

    Both happen in one transaction if both are in one database. Otherwise the job is committed
    first, so an interruption at this moment leaves the task in both databases. A dry run writes
    nothing. An error sets the refusal of the entry.
    """
    if entry.refusal:
        return Outcome.REFUSED
    try:
        draft = _draft(entry.arguments)
        store = store_for(draft.job._state.db or "default")
        _check_database(store.alias, database, entry.arguments["backend"])
        entry.new = _description(draft.job)
        if not is_dry_run:
            with_retries(store, partial(_move, store, source, entry))
    except _refusals() as error:
        entry.refusal = str(error)
    return Outcome.REFUSED if entry.refusal else Outcome.MOVED


def destinations() -> set[str]:
    """Return the databases to which tasks can move."""
    return {jobs_database(backend.database) for backend in _backends().values()}


def _entry(row: Row) -> Entry:
    entry = Entry(str(row["id"]))
    with entry.translation():
        run_after = row["run_after"]
        if run_after is not None and run_after.year >= _NO_TIME_YEAR:
            run_after = None
        entry.old = ", ".join(
            part
            for part in (
                row["task_path"],
                f"queue {row['queue_name']}",
                row["priority"] and f"priority {row['priority']}",
                run_after and f"after {shown(run_after)}",
            )
            if part
        )
        if row["status"] not in _WAITING:
            raise NotCarriedOver(
                "It runs. Let its worker end it. If its worker was lost, django-tasks-db does not "
                "run it again. Then enqueue it again."
            )
        entry.arguments = {
            **{name: row[name] for name in ("id", "task_path", "priority", "queue_name")},
            "backend": _backend_for(row["backend_name"]),
            "run_after": run_after,
            "enqueued_at": row["enqueued_at"],
            **_arguments(row["args_kwargs"]),
        }
    return entry


def _arguments(stored: Any) -> Row:
    # A driver returns JSON as a text, or as its value.
    value = json.loads(stored) if isinstance(stored, str | bytes) else stored
    args, kwargs = value["args"], value["kwargs"]
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise NotCarriedOver("args_kwargs is not a list and an object. Correct it.")
    return {"args": args, "kwargs": kwargs}


def _backend_for(name: str) -> str:
    """Return the alias of the backend for the tasks of the old backend `name`."""
    ours = _backends()
    if name in ours:
        return name
    if len(ours) == 1:
        return next(iter(ours))
    raise NotCarriedOver(
        f"Its backend is {name!r}. Set the BACKEND of TASKS[{name!r}] to "
        "'django_future.backend.FutureBackend'."
    )


def _draft(values: Row) -> "Draft":
    """Return the unsaved job of a task.

    A row may not import any module: the trust in its name is that in the name of any handler.
    """
    path = values["task_path"]
    handler = handlers.resolve(path, None)
    if not isinstance(handler, TaskHandler):
        raise NotCarriedOver(f"{path!r} is {handler!r}, and not a task. Decorate it with @task.")
    run_after = values["run_after"]
    task = handler.task.using(
        priority=values["priority"],
        queue_name=values["queue_name"],
        run_after=run_after and clock.to_row(run_after),
        backend=values["backend"],
    )
    draft: Draft = _backends()[values["backend"]].draft_of(task, values["args"], values["kwargs"])
    return draft


def _check_database(alias: str, database: str | None, backend: str) -> None:
    if database is not None and database != alias:
        raise NotCarriedOver(
            f"TASKS[{backend!r}] stores its tasks in the database {alias!r}, not in {database!r}. "
            "Give that with --database, or change its option DATABASE."
        )


def _move(store: Store, source: str, entry: Entry) -> None:
    # The transaction of the job commits first.
    with transaction.atomic(using=source), write_transaction(store):
        if not _delete(source, entry.arguments["id"]):
            raise NotCarriedOver("It does not wait any more, because a worker has claimed it.")
        job = add_draft(_draft(entry.arguments))
        enqueued_at = clock.to_row(entry.arguments["enqueued_at"])
        moved = ScheduledJob.objects.using(store.alias).filter(pk=job.pk)
        moved.update(created_at=enqueued_at)
    entry.new = f"{job.pk}: {entry.new}"


def _delete(source: str, row_id: Any) -> bool:
    """Delete a row that still waits, which locks it; False if it does not wait."""
    connection = connections[source]
    table, key, status = map(connection.ops.quote_name, (TABLE, "id", "status"))
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {table} WHERE {key} = %s AND {status} IN (%s, %s)",  # noqa: S608
            [row_id, *_WAITING],
        )
        return bool(cursor.rowcount)


def _description(job: ScheduledJob) -> str:
    parts = [
        f"task of {job.task_backend}",
        f"queue {job.queue_name}",
        job.priority and f"priority {job.priority}",
        job.run_after and f"after {shown(clock.from_row(job.run_after))}",
    ]
    return ", ".join(part for part in parts if part)


def _refusals() -> tuple[type[Exception], ...]:
    from django_future.tasks.api import InvalidTask, InvalidTaskBackend  # noqa: PLC0415

    return (
        NotCarriedOver, FutureError, DataError, IntegrityError, InvalidTask, InvalidTaskBackend,
    )  # fmt: skip


def _backends() -> dict[str, Any]:
    """Return the backends in TASKS that store tasks as jobs, by alias."""
    from django_future.tasks.api import InvalidTaskBackend, task_backends  # noqa: PLC0415

    ours = {}
    for alias in task_backends:
        with suppress(InvalidTaskBackend):  # its package may be gone
            if hasattr(task_backends[alias], "draft_of"):
                ours[alias] = task_backends[alias]
    return ours
