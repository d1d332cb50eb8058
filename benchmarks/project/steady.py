"""Schedules, claims and finishes jobs at a steady pace: `python -m benchmarks.project.steady PATH`.

It goes on until it is ended, and notes in the file at what instant and for how long it claimed.
"""

import sys
import time
from pathlib import Path

import django

from benchmarks.project.backlog import fill

BATCH = 10  # jobs
EACH = 0.02  # seconds from one claim to the next, if they are quick


def main() -> None:
    """Claim, until it is ended."""
    django.setup()
    from django_future.store import store_for
    from django_future.worker.heartbeat import new_worker

    store, worker = store_for("default"), new_worker()
    with Path(sys.argv[1]).open("w", buffering=1) as notes:
        while True:
            fill("noop", BATCH)
            began_at = time.perf_counter()
            claimed = store.claim(worker, at=store.now(), limit=BATCH)
            took = time.perf_counter() - began_at
            notes.write(f"{time.time()!r} {took!r}\n")
            for job in claimed:
                job.finished_at = job.started_at
            store.finish_all(claimed)
            time.sleep(max(EACH - (time.perf_counter() - began_at), 0))


def claims(path: Path) -> list[tuple[float, float]]:
    """Return when each claim ended, and how many seconds it took."""
    lines = (line.split() for line in path.read_text().splitlines())
    return [(float(at), float(took)) for at, took in lines]


if __name__ == "__main__":
    main()
