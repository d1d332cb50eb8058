"""huey on PostgreSQL, its workers woken by NOTIFY."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from huey import PostgresHuey

from benchmarks import client, recording
from benchmarks.contender import Contender
from benchmarks.databases import fresh_database
from benchmarks.processes import python

huey = PostgresHuey(dsn=os.environ.get("DATABASE_URL"), results=False, create_tables=False)


@huey.task(name="record")
def record(at: float) -> None:
    """Note how late this is."""
    recording.record(at)


@contextmanager
def huey_postgresql() -> Iterator[Contender]:
    """Set up huey on an empty database, and yield a consumer of one thread, woken by NOTIFY."""
    consumer = ["-m", "huey.bin.huey_consumer", f"{__name__}.huey", "--quiet", "--no-periodic"]
    with fresh_database("postgresql") as url:
        creator = PostgresHuey(dsn=url, results=False)
        creator.storage.close()
        yield Contender(
            name="huey, PostgreSQL",
            worker=python(*consumer),
            # As a module of its own, which is part of its tasks' names.
            client=python("-c", f"from {__name__} import main; main()"),
            env={"DATABASE_URL": url},
        )


def ahead(instants) -> None:
    """Schedule a task for each of `instants`."""
    for at in instants:
        record.schedule([at], eta=datetime.fromtimestamp(at, UTC))


def main() -> None:
    """Schedule what the command line says."""
    client.schedule(ahead, record)
