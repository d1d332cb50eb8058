"""Celery with Redis. `python -m benchmarks.peers.celery` is its client for lateness."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import redis
from celery import Celery

from benchmarks import client, recording
from benchmarks.contender import Contender
from benchmarks.ports import free_port, wait_for_port
from benchmarks.processes import python, running
from benchmarks.starts import record_start
from benchmarks.throughput.drainer import Drainer, IsEmpty

# Celery's guide recommends a large prefetch for short tasks. The other options turn off messages
# between workers.
FAST = [
    "--prefetch-multiplier", "128", "--without-gossip", "--without-mingle", "--without-heartbeat",
]  # fmt: skip

# No result backend, because its writes slow the worker down. All else is Celery's default.
app = Celery("benchmarks", broker=os.environ.get("BROKER_URL", "redis://"))
app.conf.task_ignore_result = True


@app.task(name="record")
def record(at: float) -> None:
    """Record how late this is."""
    recording.record(at)


@app.task(name="noop")
def noop(number: int) -> None:
    """Record the start only."""
    record_start(number)


@contextmanager
def celery() -> Iterator[Contender]:
    """Start a Redis on the loopback interface, and yield a worker with one process."""
    with _redis() as url:
        yield Contender(
            name="Celery, Redis",
            worker=_prefork(1),
            client=python("-m", "benchmarks.peers.celery"),
            env=_environment(url),
        )


@contextmanager
def drainers(job: str) -> Iterator[dict[int, list[Drainer]]]:
    """Yield Celery with one and with two processes, with the pools prefork and solo."""
    with _redis() as url:
        yield {
            count: [
                _drainer("prefork", url, job, [_prefork(count, *FAST)]),
                _drainer("solo", url, job, [_worker("--pool", "solo", *FAST)] * count),
            ]
            for count in (1, 2)
        }


def _drainer(pool: str, url: str, job: str, workers: Sequence[Sequence[str]]) -> Drainer:
    return Drainer(
        name=f"Celery, {pool}",
        settings=f"worker --pool {pool} {' '.join(FAST)}, results ignored, early acknowledgement,"
        " its own Redis without saving",
        job=job,
        module=__name__,
        workers=workers,
        backlog=RedisBacklog(url),
        env=_environment(url),
    )


def fill(job: str, count: int) -> None:
    """Send `count` tasks."""
    with app.producer_or_acquire() as producer:
        for number in range(count):
            app.tasks[job].apply_async([number], producer=producer)


@dataclass(frozen=True)
class RedisBacklog:
    """The tasks in Redis that no worker has acknowledged."""

    url: str

    def clear(self) -> None:
        """Remove the tasks of earlier runs."""
        redis.Redis.from_url(self.url).flushdb()

    def settle(self) -> None:
        """Do nothing: Redis keeps no statistics."""

    @contextmanager
    def watched(self) -> Iterator[IsEmpty]:
        """Yield a function that returns whether no task remains."""
        with redis.Redis.from_url(self.url) as connection:
            yield lambda: not connection.exists("celery", "unacked")


def _prefork(processes: int, *options: str) -> list[str]:
    return _worker("--pool", "prefork", "--concurrency", str(processes), *options)


def _worker(*options: str) -> list[str]:
    command = ["-m", "celery", "-A", "benchmarks.peers.celery", "-q", "worker"]
    return python(*command, "--loglevel", "ERROR", *options)


def _environment(url: str) -> dict[str, str]:
    return {"BROKER_URL": url, "C_FORCE_ROOT": "1"}


def ahead(times) -> None:
    """Send a task for each of `times`."""
    for at in times:
        record.apply_async([at], eta=datetime.fromtimestamp(at, UTC))


@contextmanager
def _redis() -> Iterator[str]:
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="future-bench-redis-") as folder:
        command = [
            "redis-server", "--port", str(port), "--bind", "127.0.0.1",
            "--save", "", "--dir", folder, "--loglevel", "warning",
        ]  # fmt: skip
        with running(command, {}, is_server=True):
            wait_for_port(port)
            yield f"redis://127.0.0.1:{port}/0"


if __name__ == "__main__":
    client.schedule(ahead, record.delay)
