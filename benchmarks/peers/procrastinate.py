"""procrastinate on psycopg."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import procrastinate

from benchmarks.databases import fresh_database
from benchmarks.processes import python, run
from benchmarks.starts import record_start
from benchmarks.throughput.drainer import Drainer, SqlBacklog

CHUNK_SIZE = 1_000
CONCURRENCY = 10

connector = procrastinate.PsycopgConnector(conninfo=os.environ.get("PROCRASTINATE_DSN", ""))
app = procrastinate.App(connector=connector)


@app.task(name="noop")
async def noop(number: int) -> None:
    """Record the start only."""
    record_start(number)


@contextmanager
def drainers(job: str) -> Iterator[dict[int, list[Drainer]]]:
    """Yield procrastinate with one and with two processes."""
    with fresh_database("postgresql") as address:
        env = {"PROCRASTINATE_DSN": address, "PROCRASTINATE_APP": f"{__name__}.app"}
        run(_command("schema", "--apply"), env)
        yield {count: [_drainer(address, env, job, count)] for count in (1, 2)}


def _drainer(address: str, env: dict[str, str], job: str, processes: int) -> Drainer:
    options = ["--concurrency", str(CONCURRENCY)]
    return Drainer(
        name="procrastinate",
        settings=f"worker {' '.join(options)}, one process each",
        job=job,
        module=__name__,
        workers=[_command("worker", *options)] * processes,
        backlog=SqlBacklog(
            address,
            "SELECT 1 FROM procrastinate_jobs WHERE status IN ('todo', 'doing')",
            ["TRUNCATE TABLE procrastinate_jobs CASCADE"],
        ),
        env=env,
    )


def fill(job: str, count: int) -> None:
    """Defer `count` jobs in bulk."""
    with app.open():
        task = app.configure_task(job)
        for first in range(0, count, CHUNK_SIZE):
            numbers = range(first, min(first + CHUNK_SIZE, count))
            task.batch_defer(*({"number": number} for number in numbers))


def _command(*arguments: str) -> list[str]:
    return python("-m", "procrastinate", "--log-level", "error", *arguments)
