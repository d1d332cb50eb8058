"""Tables that are crowded with jobs that wait for years, or that have finished."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from benchmarks.processes import python, run
from benchmarks.throughput.drainer import Drainer, SqlBacklog
from benchmarks.throughput.figures import OURS
from benchmarks.throughput.ours import EFFECTS, JOBS, emptied, ours, project

SECONDS_PER_MILLION = 600  # that loading may take
QUEUE = "default"  # of the jobs that are measured; the crowd is in other queues
LEFT = (
    f"SELECT 1 FROM {JOBS} WHERE status = 'running' UNION ALL"
    f" SELECT 1 FROM {JOBS} WHERE status = 'scheduled' AND queue_name = '{QUEUE}'"
)


@contextmanager
def crowded(database: str, count: int, state: str, threads: int) -> Iterator[Drainer]:
    """Yield django-future on a table with `count` more jobs that are `waiting` or `finished`."""
    with project(database) as env:
        if count:
            command = python("-m", "benchmarks.project.fill", str(count), state)
            run(command, env, seconds=60 + SECONDS_PER_MILLION * count / 1e6)
        drainer = ours(env, "noop", 1, threads)
        clear = [f"DELETE FROM {JOBS} WHERE queue_name = '{QUEUE}'", *emptied(env, EFFECTS)]
        yield replace(
            drainer,
            name=f"{OURS}, {count:,} {state}" if count else f"{OURS}, empty table",
            settings=f"{drainer.settings}; the others are in five priorities and ten queues",
            backlog=SqlBacklog(env["DATABASE_URL"], LEFT, clear),
        )
