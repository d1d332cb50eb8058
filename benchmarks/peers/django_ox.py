"""django-ox on PostgreSQL."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks.processes import python
from benchmarks.throughput.drainer import Drainer, SqlBacklog
from benchmarks.throughput.ours import EFFECTS, emptied, project

THREADS = 4
TABLE = "django_ox_oxtask"
UNFINISHED = f"SELECT 1 FROM {TABLE} WHERE status IN ('READY', 'RUNNING')"


@contextmanager
def drainers(job: str) -> Iterator[dict[int, list[Drainer]]]:
    """Yield django-ox with one and with two processes."""
    with project("postgresql", TASKS_BACKEND="django_ox.backend.OxBackend") as env:
        yield {count: [_drainer(env, job, count)] for count in (1, 2)}


def _drainer(env: dict[str, str], job: str, processes: int) -> Drainer:
    options = ["--processes", str(processes), "--concurrency", str(THREADS)]
    return Drainer(
        name="django-ox",
        settings=f"ox_worker --concurrency {THREADS} -v0, --processes 2 where there are two,"
        " CONN_MAX_AGE=None",
        job=job,
        module=__name__,
        workers=[python("-m", "django", "ox_worker", "-v0", *options)],
        backlog=SqlBacklog(
            env["DATABASE_URL"], UNFINISHED, emptied(env, f"{TABLE}, {EFFECTS} CASCADE")
        ),
        env=env,
    )


def fill(job: str, count: int) -> None:
    """Enqueue `count` tasks in bulk."""
    import django

    django.setup()
    from django_ox.bulk import enqueue_many

    from benchmarks.peers import measured_tasks

    enqueue_many(getattr(measured_tasks, job), [([number], {}) for number in range(count)])


@contextmanager
def scheduler(how: str) -> Iterator[Callable[[int], object]]:
    """Yield a function that enqueues a number of tasks."""
    import django

    django.setup()
    from benchmarks.peers.measured_tasks import noop

    def one_by_one(count: int) -> None:
        for number in range(count):
            noop.enqueue(number)

    yield {"one by one": one_by_one, "at once": partial(fill, "noop")}[how]
