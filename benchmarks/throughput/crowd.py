"""Tables with many more jobs, which are due in years or have finished."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from benchmarks.databases import connected
from benchmarks.processes import python, run
from benchmarks.shape import Shape
from benchmarks.throughput.drainer import Drainer, SqlBacklog
from benchmarks.throughput.figures import OURS
from benchmarks.throughput.ours import EFFECTS, JOBS, emptied, ours, project

SECONDS_PER_MILLION = 600  # timeout for loading a million jobs


@contextmanager
def crowded(database: str, count: int, state: str, threads: int, shape: Shape) -> Iterator[Drainer]:
    """Yield django-future on a table with `count` more jobs in `state`, waiting or finished.

    They have the same queues and priorities as the measured jobs.
    """
    with project(database, shape) as env:
        if count:
            command = python("-m", "benchmarks.project.fill", str(count), state)
            run(command, env, seconds=60 + SECONDS_PER_MILLION * count / 1e6)
        drainer = ours(env, "noop", 1, threads)
        yield replace(
            drainer,
            name=f"{OURS}, {count:,} {state}" if count else f"{OURS}, empty table",
            backlog=_backlog(env, shape),
        )


def _backlog(env: dict[str, str], shape: Shape) -> SqlBacklog:
    address = env["DATABASE_URL"]
    with connected(address) as cursor:
        cursor.execute(f"SELECT COALESCE(MAX(id), 0) FROM {JOBS}")
        (last,) = cursor.fetchone()
    # The measured jobs have higher ids than the others.
    unfinished = f"SELECT 1 FROM {JOBS} WHERE id > {last} AND status IN ('scheduled', 'running')"
    clear = [f"DELETE FROM {JOBS} WHERE id > {last}", *emptied(env, EFFECTS)]
    if address.startswith("postgresql"):
        clear.append(f"VACUUM {JOBS}")  # remove the dead rows of earlier runs
    return SqlBacklog(address, unfinished, clear, has_statistics=shape.has_statistics)
