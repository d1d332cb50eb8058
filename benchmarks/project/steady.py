"""Schedules and runs jobs at a constant rate: `python -m benchmarks.project.steady PATH`.

It runs until a signal ends it, and writes the time and the duration of each claim to the file.
"""

import sys
import time
from pathlib import Path

import django

from benchmarks.project.backlog import fill

BATCH_SIZE = 10  # jobs
INTERVAL_SECONDS = 0.02  # from one claim to the next, if they are fast


def main() -> None:
    """Claim until a signal ends the process."""
    django.setup()
    from django_future.store import store_for
    from django_future.worker.heartbeat import new_worker

    store, worker = store_for("default"), new_worker()
    with Path(sys.argv[1]).open("w", buffering=1) as file:
        while True:
            fill("noop", BATCH_SIZE)
            began_at = time.perf_counter()
            claimed = store.claim(worker, at=store.now(), limit=BATCH_SIZE)
            took = time.perf_counter() - began_at
            file.write(f"{time.time()!r} {took!r}\n")
            for job in claimed:
                job.finished_at = job.started_at
            store.finish_all(claimed)
            time.sleep(max(INTERVAL_SECONDS - (time.perf_counter() - began_at), 0))


def claims(path: Path) -> list[tuple[float, float]]:
    """Return the time at which each claim ended, and its duration in seconds."""
    lines = (line.split() for line in path.read_text().splitlines())
    return [(float(at), float(took)) for at, took in lines]


if __name__ == "__main__":
    main()
