"""django-dbtasks on PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.peers.django_tasks import enqueue_all, scheduler
from benchmarks.processes import python
from benchmarks.throughput.drainer import Drainer, SqlBacklog
from benchmarks.throughput.ours import EFFECTS, emptied, project

__all__ = ["drainers", "fill", "scheduler"]

THREADS = 16
TABLE = "dbtasks_scheduledtask"
# A runner that was killed still counts as active, and another of the same name refuses to start.
RUNNERS = "dbtasks_worker"
UNFINISHED = f"SELECT 1 FROM {TABLE} WHERE status IN ('READY', 'RUNNING')"


@contextmanager
def drainers(job: str) -> Iterator[dict[int, list[Drainer]]]:
    """Yield django-dbtasks with one and with two processes."""
    with project("postgresql", TASKS_BACKEND="dbtasks.backend.DatabaseBackend") as env:
        yield {count: [_drainer(env, job, count)] for count in (1, 2)}


def _drainer(env: dict[str, str], job: str, processes: int) -> Drainer:
    options = ["--workers", str(THREADS), "--no-periodic"]
    return Drainer(
        name="django-dbtasks",
        settings=f"taskrunner {' '.join(options)}, CONN_MAX_AGE=None",
        job=job,
        module=__name__,
        workers=[
            python("-m", "django", "taskrunner", *options, "--worker-id", f"runner-{number}")
            for number in range(processes)
        ],
        backlog=SqlBacklog(
            env["DATABASE_URL"], UNFINISHED, emptied(env, f"{TABLE}, {RUNNERS}, {EFFECTS}")
        ),
        has_bulk=False,
        env=env,
    )


def fill(job: str, count: int) -> None:
    """Enqueue `count` tasks in one transaction, because it has no bulk API."""
    enqueue_all(job, count)
