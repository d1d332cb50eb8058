"""huey on PostgreSQL, with workers that NOTIFY wakes."""

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
    """Record how late this is."""
    recording.record(at)


@contextmanager
def huey_postgresql() -> Iterator[Contender]:
    """Set up huey on an empty database, and yield a consumer with one thread and NOTIFY."""
    consumer = ["-m", "huey.bin.huey_consumer", f"{__name__}.huey", "--quiet", "--no-periodic"]
    with fresh_database("postgresql") as url:
        creator = PostgresHuey(dsn=url, results=False)
        creator.storage.close()
        yield Contender(
            name="huey, PostgreSQL",
            worker=python(*consumer),
            # Not as `__main__`, because the names of the tasks contain the name of the module.
            client=python("-c", f"from {__name__} import main; main()"),
            env={"DATABASE_URL": url},
        )


def ahead(times) -> None:
    """Schedule a task for each of `times`."""
    for at in times:
        record.schedule([at], eta=datetime.fromtimestamp(at, UTC))


def main() -> None:
    """Schedule tasks as the command line says."""
    client.schedule(ahead, record)
