"""Celery with Redis: `python -m benchmarks.peers.celery` is its client."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from celery import Celery

from benchmarks import client, recording
from benchmarks.contender import Contender
from benchmarks.ports import free_port, wait_for_port
from benchmarks.processes import python, running

# No result backend: its writes would only slow the worker down. All else is Celery's default.
app = Celery("benchmarks", broker=os.environ.get("BROKER_URL", "redis://"))
app.conf.task_ignore_result = True


@app.task(name="record")
def record(at: float) -> None:
    """Note how late this is."""
    recording.record(at)


@contextmanager
def celery() -> Iterator[Contender]:
    """Start a Redis of its own on the loopback, and yield a worker of one process."""
    with _redis() as url:
        yield Contender(
            name="Celery, Redis",
            worker=python(
                "-m", "celery", "-A", "benchmarks.peers.celery", "-q", "worker",
                "--pool", "prefork", "--concurrency", "1", "--loglevel", "ERROR",
            ),
            client=python("-m", "benchmarks.peers.celery"),
            env={"BROKER_URL": url, "C_FORCE_ROOT": "1"},
        )  # fmt: skip


def ahead(instants) -> None:
    """Send a task for each of `instants`."""
    for at in instants:
        record.apply_async([at], eta=datetime.fromtimestamp(at, UTC))


@contextmanager
def _redis() -> Iterator[str]:
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="future-bench-redis-") as folder:
        command = [
            "redis-server", "--port", str(port), "--bind", "127.0.0.1",
            "--save", "", "--dir", folder, "--loglevel", "warning",
        ]  # fmt: skip
        with running(command, {}):
            wait_for_port(port)
            yield f"redis://127.0.0.1:{port}/0"


if __name__ == "__main__":
    client.schedule(ahead, record.delay)
