"""The worker of a trial: the real command, with an optional broken fence."""

import os
import sys

import django
from django.core.management import call_command

BREAK_FENCE = "CHAOS_BREAK_FENCE"


def main() -> None:
    """Run `future_worker`, with a broken fence if the environment says so."""
    django.setup()
    if BREAK_FENCE in os.environ:
        _break_fence()
    call_command("future_worker", *sys.argv[1:])


def _break_fence() -> None:
    from django_future.execution.watchdog import Watchdog
    from django_future.status import Status
    from django_future.store import leases, store_for

    # A worker may finish a job whose lease is lost. Neither its watchdog nor the end of its
    # session stops it.
    def held(store, job):
        return store.jobs.filter(pk=job.pk)

    def finish(store, job):
        held(store, job).update(status=Status.COMPLETE, finished_at=job.finished_at)
        job.status = Status.COMPLETE

    leases.held = held
    Watchdog._check_leases = lambda *_: None  # type: ignore[method-assign]
    type(store_for("default")).kill_sessions = lambda *_: None  # type: ignore[method-assign]
    type(store_for("default")).finish = finish  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
