"""Processes that schedule the same unique jobs and run them: `python -m tests.support.rival`."""

import os
import subprocess
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[2]
KEYS, ROUNDS = 5, 8


def start_rival() -> "subprocess.Popen[str]":
    """Start a process that says by their ids which jobs it was given."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.rival"],
        cwd=ROOT,
        env=os.environ,
        stdout=subprocess.PIPE,
        text=True,
    )


def main() -> None:
    """Schedule jobs of a few keys, inside transactions and outside, and run what is due."""
    import django

    django.setup()
    from django_future import run_jobs
    from django_future.store import store_for
    from django_future.store.contention import with_retries

    for number in range(ROUNDS):
        for key in range(KEYS):
            ask = partial(
                schedule, f"key {key}", is_inside=(number + key) % 2 == 0, replace=number % 3 == 0
            )
            # On MariaDB a transaction may lose a deadlock, and its caller has to begin anew.
            print(with_retries(store_for("default"), ask))
        run_jobs()


def schedule(key: str, *, is_inside: bool, replace: bool) -> int:
    """Schedule a job for now, unless there is one, and return its id."""
    from django.db import transaction

    from tests.shop import once

    with transaction.atomic() if is_inside else nullcontext():
        wanted = once.trace_job.using(unique=key, unique_replace=replace)
        return wanted.schedule("0s").pk


if __name__ == "__main__":
    main()
