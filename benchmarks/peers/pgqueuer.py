"""pgqueuer on asyncpg and uvloop: `python -m benchmarks.peers.pgqueuer BATCH` is a worker."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncpg
import pgqueuer
import uvloop
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from benchmarks.databases import connected, fresh_database
from benchmarks.processes import python, run
from benchmarks.starts import record_start
from benchmarks.throughput.drainer import Drainer, SqlBacklog

CHUNK_SIZE = 10_000
BATCH_SIZES = {"noop": 500, "insert": 100}
CREATE = (
    "CREATE TABLE effect (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " number bigint NOT NULL CHECK (number >= 0), created_at timestamptz NOT NULL)"
)
INSERT = "INSERT INTO effect (number, created_at) VALUES ($1, now()) RETURNING id"


@contextmanager
def drainers(job: str) -> Iterator[dict[int, list[Drainer]]]:
    """Yield pgqueuer with one and with two processes."""
    with fresh_database("postgresql") as address:
        env = {"PGDSN": address}
        run(python("-m", "pgqueuer", "--pg-dsn", address, "install"), env)
        with connected(address) as cursor:
            cursor.execute(CREATE)
        yield {count: [_drainer(address, env, job, count)] for count in (1, 2)}


def _drainer(address: str, env: dict[str, str], job: str, processes: int) -> Drainer:
    batch = str(BATCH_SIZES[job])
    return Drainer(
        name="pgqueuer",
        settings=f"pgqueuer.run(batch_size={batch}), asyncpg, uvloop, one process each; an INSERT"
        " is raw SQL on a pool of 10 connections, not in one transaction with the completion",
        job=job,
        module=__name__,
        workers=[python("-m", __name__, batch)] * processes,
        backlog=SqlBacklog(
            address,
            "SELECT 1 FROM pgqueuer",
            ["TRUNCATE TABLE pgqueuer, pgqueuer_log, pgqueuer_statistics, effect"],
        ),
        env=env,
    )


@asynccontextmanager
async def worker() -> AsyncIterator[pgqueuer.PgQueuer]:
    """Yield the worker with its entry points."""
    queue = pgqueuer.PgQueuer(AsyncpgDriver(await asyncpg.connect(os.environ["PGDSN"])))
    pool = await asyncpg.create_pool(os.environ["PGDSN"], min_size=1, max_size=10)

    @queue.entrypoint("noop")
    async def noop(job: Job) -> None:
        record_start(int(job.payload))

    @queue.entrypoint("insert")
    async def insert(job: Job) -> None:
        number = int(job.payload)
        record_start(number)
        await pool.fetchval(INSERT, number)

    yield queue
    await pool.close()


def fill(job: str, count: int) -> None:
    """Enqueue `count` jobs."""
    with _opened() as (runner, queries):
        for first in range(0, count, CHUNK_SIZE):
            runner.run(_at_once(queries, job, range(first, min(first + CHUNK_SIZE, count))))


@contextmanager
def scheduler(how: str) -> Iterator[Callable[[int], object]]:
    """Yield a function that enqueues a number of jobs."""
    enqueue = {"one by one": _one_by_one, "at once": _at_once}[how]
    with _opened() as (runner, queries):
        yield lambda count: runner.run(enqueue(queries, "noop", range(count)))


@contextmanager
def _opened() -> Iterator[tuple[asyncio.Runner, Queries]]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        connection = runner.run(asyncpg.connect(os.environ["PGDSN"]))
        yield runner, Queries(AsyncpgDriver(connection))
        runner.run(connection.close())


async def _one_by_one(queries: Queries, job: str, numbers: range) -> None:
    for number in numbers:
        await queries.enqueue(job, str(number).encode())


async def _at_once(queries: Queries, job: str, numbers: range) -> None:
    payloads = [str(number).encode() for number in numbers]
    await queries.enqueue([job] * len(payloads), payloads, [0] * len(payloads))


if __name__ == "__main__":
    uvloop.run(pgqueuer.run(worker, batch_size=int(sys.argv[1])))
