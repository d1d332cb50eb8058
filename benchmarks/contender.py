"""A measured system: the commands that start its worker and its client."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from benchmarks.databases import fresh_database
from benchmarks.distance import distant_url
from benchmarks.processes import python, run
from benchmarks.servers import TITLES


@dataclass(frozen=True)
class Contender:
    """A worker command, and a client command with the arguments of `benchmarks.client`."""

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


@contextmanager
def far_away(contender: Contender, seconds: float) -> Iterator[Contender]:
    """Connect a contender to its database with a delay of `seconds` each way."""
    with distant_url(contender.env["DATABASE_URL"], seconds) as url:
        name = f"{contender.name}, {1000 * seconds:.0f} ms away"
        yield replace(contender, name=name, env={**contender.env, "DATABASE_URL": url})
