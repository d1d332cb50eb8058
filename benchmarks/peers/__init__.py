"""Those that django-future is measured beside, each at its documented best."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from importlib.util import find_spec
from subprocess import CalledProcessError

from benchmarks.throughput.drainer import Drainer

NEEDS = {
    "celery": (["celery", "redis"], ["redis-server"]),
    "django_ox": (["django.tasks", "django_ox"], []),
    "django_tasks_db": (["django.tasks", "django_tasks_db"], []),
    "huey": (["huey"], []),
    "huey_postgresql": (["huey", "psycopg"], []),
    "pgqueuer": (["pgqueuer", "asyncpg", "uvloop"], []),
    "procrastinate": (["procrastinate"], []),
}


@contextmanager
def drainers(names: Iterable[str], job: str) -> Iterator[dict[int, list[Drainer]]]:
    """Yield those of `names` that can be set up here, by processes; say loudly who cannot."""
    with ExitStack() as stack:
        found: dict[int, list[Drainer]] = {1: [], 2: []}
        for name in names:
            for processes, theirs in _set_up(name, job, stack).items():
                found[processes] += theirs
        yield found


def missing(peer: str) -> list[str]:
    """Return which packages and programs `peer` lacks on this machine."""
    packages, programs = NEEDS[peer]
    return [
        *(package for package in packages if find_spec(package) is None),
        *(program for program in programs if shutil.which(program) is None),
    ]


def _set_up(name: str, job: str, stack: ExitStack) -> dict[int, list[Drainer]]:
    lacks = missing(name)
    why = f"{', '.join(lacks)} is missing"
    if not lacks:
        try:
            peer = import_module(f"benchmarks.peers.{name}")
            return stack.enter_context(peer.drainers(job))
        except (ImportError, CalledProcessError) as error:
            why = str(error)
    print(f"\n*** {name} is LEFT OUT: {why}. ***\n")
    return {}
