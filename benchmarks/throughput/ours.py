"""django-future, and the bare loops that it is held against."""

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.databases import fresh_database
from benchmarks.processes import python, run
from benchmarks.throughput.drainer import Drainer, SqlBacklog
from benchmarks.throughput.figures import OURS

JOBS, EFFECTS = "django_future_scheduledjob", "benchmarks_project_effect"
LEFT = f"SELECT 1 FROM {JOBS} WHERE status IN ('scheduled', 'running')"
BARE = "bare loop"


@contextmanager
def project(database: str, **extra: str) -> Iterator[dict[str, str]]:
    """Set up the benchmark project on an empty database, and yield its environment."""
    with fresh_database(database) as address:
        env = {
            "DATABASE_URL": address,
            "DJANGO_SETTINGS_MODULE": "benchmarks.project.settings",
            **extra,
        }
        run(python("-m", "django", "migrate", "--run-syncdb", "-v0"), env)
        yield env


def ours(env: dict[str, str], job: str, processes: int, threads: int) -> Drainer:
    """Return django-future with so many processes of so many threads."""
    many = f"{processes} processes of " if processes > 1 else ""
    options = ["--processes", str(processes), "--threads", str(threads)]
    return Drainer(
        name=f"{OURS}, {many}{threads} thread{'s' if threads > 1 else ''}",
        settings=f"future_worker --burst --no-reload -v0 {' '.join(options)}",
        job=job,
        module="benchmarks.project.backlog",
        workers=[
            python("-m", "django", "future_worker", "--burst", "--no-reload", "-v0", *options)
        ],
        backlog=SqlBacklog(env["DATABASE_URL"], LEFT, emptied(env, JOBS, EFFECTS)),
        env=env,
    )


def bare_loop(env: dict[str, str], job: str) -> Drainer:
    """Return a loop that does nothing but call the handler, in a transaction each time."""
    nothing = f"SELECT 1 FROM {EFFECTS} WHERE number < 0"  # done is whoever has started them all
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
