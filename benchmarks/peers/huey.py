"""huey on SQLite."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from huey import SqliteHuey

from benchmarks.databases import fresh_database
from benchmarks.processes import python
from benchmarks.starts import record_start
from benchmarks.throughput.drainer import Drainer, SqlBacklog

# By default huey uses SQLite's default, which syncs every commit.
FSYNC = {"durable": None, "not synced": False}

huey = SqliteHuey(
    filename=os.environ.get("HUEY_FILE", ":memory:"),
    fsync=FSYNC[os.environ.get("HUEY_DURABILITY", "durable")],
    results=False,
)


@huey.task(name="noop")
def noop(number: int) -> None:
    """Record the start only."""
    record_start(number)


JOBS = {"noop": noop}


@contextmanager
def drainers(job: str) -> Iterator[dict[int, list[Drainer]]]:
    """Yield huey with one process, with and without durable commits."""
    with fresh_database("sqlite") as address:
        SqliteHuey(filename=address.removeprefix("sqlite://"))  # creates its tables
        yield {1: [_drainer(address, job, durability) for durability in FSYNC]}


def _drainer(address: str, job: str, durability: str) -> Drainer:
    options = ["--workers", "1", "--quiet", "--no-periodic", "--disable-health-check"]
    return Drainer(
        name=f"huey, {durability}",
        settings=f"huey_consumer {' '.join(options)}, WAL, results=False,"
        f" fsync={FSYNC[durability]}; a job leaves the store before it starts",
        job=job,
        module=__name__,
        workers=[python("-m", "huey.bin.huey_consumer", f"{__name__}.huey", *options)],
        backlog=SqlBacklog(address, "SELECT 1 FROM task", ["DELETE FROM task"]),
        env={"HUEY_FILE": address.removeprefix("sqlite://"), "HUEY_DURABILITY": durability},
    )


def fill(job: str, count: int) -> None:
    """Enqueue `count` tasks without syncs, because the enqueueing is not measured."""
    huey.storage.sql("pragma synchronous=0")
    for number in range(count):
        JOBS[job](number)
