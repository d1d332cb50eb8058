"""django-tasks-db on PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.peers.django_tasks import enqueue_all, scheduler
from benchmarks.processes import python
from benchmarks.throughput.drainer import Drainer, SqlBacklog
from benchmarks.throughput.ours import EFFECTS, emptied, project

__all__ = ["drainers", "fill", "scheduler"]

TABLE = "django_tasks_database_dbtaskresult"
UNFINISHED = f"SELECT 1 FROM {TABLE} WHERE status IN ('READY', 'RUNNING')"


@contextmanager
def drainers(job: str) -> Iterator[dict[int, list[Drainer]]]:
    """Yield django-tasks-db with one and with two processes."""
    with project("postgresql", TASKS_BACKEND="django_tasks_db.DatabaseBackend") as env:
        yield {count: [_drainer(env, job, count)] for count in (1, 2)}


def _drainer(env: dict[str, str], job: str, processes: int) -> Drainer:
    options = ["--no-startup-delay", "--no-reload", "-v0"]
    return Drainer(
        name="django-tasks-db",
        settings=f"db_worker {' '.join(options)}, one process each (it has no threads),"
        " CONN_MAX_AGE=None",
        job=job,
        module=__name__,
        workers=[python("-m", "django", "db_worker", *options)] * processes,
        backlog=SqlBacklog(env["DATABASE_URL"], UNFINISHED, emptied(env, f"{TABLE}, {EFFECTS}")),
        has_bulk=False,
        env=env,
    )


def fill(job: str, count: int) -> None:
    """Enqueue `count` tasks in one transaction, because it has no bulk API."""
    enqueue_all(job, count)
