"""The peers of django-future, each with the fastest documented settings."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from importlib.util import find_spec
from subprocess import CalledProcessError

from benchmarks.throughput.drainer import Drainer

NEEDS = {
    "celery": (["celery", "redis"], ["redis-server"]),
    "django_dbtasks": (["django.tasks", "dbtasks"], []),
    "django_ox": (["django.tasks", "django_ox"], []),
    "django_tasks_db": (["django.tasks", "django_tasks_db"], []),
    "huey": (["huey"], []),
    "huey_postgresql": (["huey", "psycopg"], []),
    "pgqueuer": (["pgqueuer", "asyncpg", "uvloop"], []),
    "procrastinate": (["procrastinate"], []),
}


@contextmanager
def drainers(names: Iterable[str], job: str) -> Iterator[dict[int, list[Drainer]]]:
    """Yield the peers that can be set up, by number of processes; print those that cannot."""
    with ExitStack() as stack:
        found: dict[int, list[Drainer]] = {1: [], 2: []}
        for name in names:
            for processes, theirs in _set_up(name, job, stack).items():
                found[processes] += theirs
        yield found


def missing(peer: str) -> list[str]:
    """Return the packages and programs of `peer` that are missing on this machine."""
    packages, programs = NEEDS[peer]
    return [
        *(package for package in packages if find_spec(package) is None),
        *(program for program in programs if shutil.which(program) is None),
    ]


def _set_up(name: str, job: str, stack: ExitStack) -> dict[int, list[Drainer]]:
    requirements = missing(name)
    reason = f"{', '.join(requirements)} is missing"
    if not requirements:
        try:
            peer = import_module(f"benchmarks.peers.{name}")
            return stack.enter_context(peer.drainers(job))
        except (ImportError, CalledProcessError) as error:
            reason = str(error)
    print(f"\n*** {name} is SKIPPED: {reason}. ***\n")
    return {}
