"""One of those that are measured: how its worker and its client are started."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.databases import fresh_database
from benchmarks.processes import python, run
from benchmarks.servers import TITLES


@dataclass(frozen=True)
class Contender:
    """A worker command, and the command of a client that understands `benchmarks.client`."""

    name: str
    worker: Sequence[str]
    client: Sequence[str]
    env: Mapping[str, str]


@contextmanager
def django_future(database: str) -> Iterator[Contender]:
    """Set up the benchmark project on an empty database, with default settings."""
    with fresh_database(database) as url:
        env = {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "benchmarks.project.settings"}
        run(python("-m", "django", "migrate", "-v0"), env)
        yield Contender(
            name=f"django-future, {TITLES[database]}",
            worker=python("-m", "django", "future_worker", "--no-reload", "-v0"),
            client=python("-m", "benchmarks.project.client"),
            env=env,
        )
