"""django-future, and the bare loop for comparison."""

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.databases import connected, fresh_database
from benchmarks.processes import python, run
from benchmarks.shape import DEFAULT_SHAPE, Shape
from benchmarks.throughput.drainer import Drainer, SqlBacklog
from benchmarks.throughput.figures import OURS

JOBS, EFFECTS = "django_future_scheduledjob", "benchmarks_project_effect"
UNFINISHED = f"SELECT 1 FROM {JOBS} WHERE status IN ('scheduled', 'running')"
BARE = "bare loop"
# The statements that turn off automatic statistics.
UNANALYZED = {"postgresql": [f"ALTER TABLE {JOBS} SET (autovacuum_enabled = off)"]}


@contextmanager
def project(database: str, shape: Shape = DEFAULT_SHAPE, **extra: str) -> Iterator[dict[str, str]]:
    """Set up the benchmark project on an empty database, and yield its environment."""
    with fresh_database(database) as address:
        env = {
            "DATABASE_URL": address,
            "DJANGO_SETTINGS_MODULE": "benchmarks.project.settings",
            **shape.environment,
            **extra,
        }
        run(python("-m", "django", "migrate", "--run-syncdb", "-v0"), env)
        if not shape.has_statistics:
            with connected(address) as cursor:
                for statement in UNANALYZED.get(address.partition(":")[0], []):
                    cursor.execute(statement)
        yield env


def ours(
    env: dict[str, str], job: str, processes: int, threads: int, verbosity: int = 0
) -> Drainer:
    """Return django-future with `processes` of `threads` each."""
    many = f"{processes} processes of " if processes > 1 else ""
    options = ["--processes", str(processes), "--threads", str(threads)]
    command = ["future_worker", "--burst", "--no-reload", f"-v{verbosity}", *options]
    shape = Shape.of(env)
    return Drainer(
        name=f"{OURS}, {many}{threads} thread{'s' if threads > 1 else ''}",
        settings=f"{' '.join(command)}; {shape}",
        job=job,
        module="benchmarks.project.backlog",
        workers=[python("-m", "django", *command)],
        backlog=SqlBacklog(
            env["DATABASE_URL"],
            UNFINISHED,
            emptied(env, JOBS, EFFECTS),
            has_statistics=shape.has_statistics,
        ),
        env=env,
    )


def bare_loop(env: dict[str, str], job: str) -> Drainer:
    """Return a loop that calls the handler in a transaction, and does nothing else."""
    # The loop is done when all calls have started, so its query selects no rows.
    nothing = f"SELECT 1 FROM {EFFECTS} WHERE number < 0"
    return Drainer(
        name=BARE,
        settings="for number in range(...): with transaction.atomic(): handler(number)",
        job=job,
        module="benchmarks.project.bare",
        workers=[python("-m", "benchmarks.project.bare", job)],
        backlog=SqlBacklog(env["DATABASE_URL"], nothing, emptied(env, EFFECTS)),
        env=env,
    )


def emptied(env: dict[str, str], *tables: str) -> list[str]:
    """Return the statements that empty `tables`."""
    verb = "DELETE FROM" if env["DATABASE_URL"].startswith("sqlite") else "TRUNCATE TABLE"
    return [f"{verb} {table}" for table in tables]
