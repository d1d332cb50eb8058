"""Processes that compete for the same unique jobs: `python -m tests.support.rival`."""

import os
import subprocess
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[2]
KEYS, ROUNDS = 5, 8


def start_rival() -> "subprocess.Popen[str]":
    """Start a process that prints the ids of the jobs that it schedules."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.rival"],
        cwd=ROOT,
        env=os.environ,
        stdout=subprocess.PIPE,
        text=True,
    )


def main() -> None:
    """Schedule jobs with a few keys, inside and outside transactions, and run due jobs."""
    import django

    django.setup()
    from django_future import run_jobs
    from django_future.store import store_for
    from django_future.store.contention import with_retries

    for number in range(ROUNDS):
        for key in range(KEYS):
            operation = partial(
                schedule, f"key {key}", is_inside=(number + key) % 2 == 0, replace=number % 3 == 0
            )
            # On MariaDB, a transaction can lose a deadlock; then its caller has to repeat it.
            print(with_retries(store_for("default"), operation))
        run_jobs()


def schedule(key: str, *, is_inside: bool, replace: bool) -> int:
    """Schedule a unique job for now, and return the id of the new or existing job."""
    from django.db import transaction

    from tests.shop import once

    with transaction.atomic() if is_inside else nullcontext():
        wanted = once.trace_job.using(unique=key, unique_replace=replace)
        return wanted.schedule("0s").pk


if __name__ == "__main__":
    main()
