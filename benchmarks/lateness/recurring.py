"""Recurring jobs next to one-off jobs: `python -m benchmarks.lateness.recurring RATE SECONDS SEED`.

It schedules both for the same period, and a worker materialises the runs.
"""

import os
import random
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import django

from benchmarks.contender import Contender
from benchmarks.lateness.sample import MAX_WAIT_SECONDS, Sample, awake, wait_for
from benchmarks.machine import busy_since, processor_times
from benchmarks.processes import python, run
from benchmarks.recording import record, recorded

EVERY_SECONDS = 5
# Until the first run. Longer than a run is materialised ahead, so that the worker does it.
START_SECONDS = 25


def record_run(job) -> None:
    """Append the instant of a run and the seconds since then to another file, in one write."""
    now = time.time()  # first, because a statement loads the instant
    at = job.recurs_at.timestamp()
    late = now - at
    os.write(_file(), f"{at!r} {late!r}\n".encode())


record_run.takes_job = True


def measure_both(runs: Sample, jobs: Sample, contender: Contender, rate: int, seconds: int) -> None:
    """Start a worker, schedule `rate` runs and one-off jobs per second, and add their lateness."""
    with awake(contender) as (_, path, env):
        before = processor_times()
        seed = str(len(runs.runs))
        client = python("-m", "benchmarks.lateness.recurring", str(rate), str(seconds), seed)
        run(client, env)
        for sample, file in ((jobs, path), (runs, _runs_of(path))):
            wait_for(file, rate * seconds, START_SECONDS + seconds + MAX_WAIT_SECONDS)
            sample.busy.append(busy_since(before))
            sample.runs.append(recorded(file))


def main() -> None:
    """Schedule recurring jobs and one-off jobs as the command line says."""
    rate, seconds, seed = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    django.setup()
    from django.db import transaction

    from benchmarks.lateness.recurring import record_run
    from django_future import schedule_jobs, schedule_recurring

    _runs_of(Path(os.environ["LATENESS_FILE"])).touch()
    chance, start = random.Random(seed), time.time() + START_SECONDS
    length, every = timedelta(seconds=seconds), timedelta(seconds=EVERY_SECONDS)
    with transaction.atomic():
        for number in range(rate * EVERY_SECONDS):
            first = datetime.fromtimestamp(start + chance.uniform(0, EVERY_SECONDS), UTC)
            schedule_recurring(
                f"{seed} {number}", record_run, every=every, starts_at=first,
                ends_at=first + length - every,
            )  # fmt: skip
    # At other random times, because the second of two jobs at one time finds the worker awake.
    times = [start + chance.uniform(0, seconds) for _ in range(rate * seconds)]
    schedule_jobs(
        {"when": datetime.fromtimestamp(at, UTC), "callable": record, "args": [at]} for at in times
    )


def _runs_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.runs")


@cache
def _file() -> int:
    path = _runs_of(Path(os.environ["LATENESS_FILE"]))
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)


if __name__ == "__main__":
    main()
