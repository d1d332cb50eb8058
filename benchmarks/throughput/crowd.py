"""Tables that are crowded with jobs that wait for years, or that have finished."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from benchmarks.databases import connected
from benchmarks.processes import python, run
from benchmarks.shape import Shape
from benchmarks.throughput.drainer import Drainer, SqlBacklog
from benchmarks.throughput.figures import OURS
from benchmarks.throughput.ours import EFFECTS, JOBS, emptied, ours, project

SECONDS_PER_MILLION = 600  # that loading may take


@contextmanager
def crowded(database: str, count: int, state: str, threads: int, shape: Shape) -> Iterator[Drainer]:
    """Yield django-future on a table with `count` more jobs that are `waiting` or `finished`.

    They are of the same queues and priorities as the jobs that are measured.
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
    # The jobs that are measured come after the crowd.
    left = f"SELECT 1 FROM {JOBS} WHERE id > {last} AND status IN ('scheduled', 'running')"
    clear = [f"DELETE FROM {JOBS} WHERE id > {last}", *emptied(env, EFFECTS)]
    if address.startswith("postgresql"):
        clear.append(f"VACUUM {JOBS}")  # what other runs left behind is not measured
    return SqlBacklog(address, left, clear, has_statistics=shape.has_statistics)
