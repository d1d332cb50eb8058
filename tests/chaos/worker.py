"""The worker that chaos torments: the real command, whose fence can be broken on purpose."""

import os
import sys

import django
from django.core.management import call_command

BREAK_FENCE = "CHAOS_BREAK_FENCE"


def main() -> None:
    """Run `future_worker`, with a fence or without."""
    django.setup()
    if BREAK_FENCE in os.environ:
        _break_fence()
    call_command("future_worker", *sys.argv[1:])


def _break_fence() -> None:
    from django_future.execution.watchdog import Watchdog
    from django_future.status import Status
    from django_future.store import leases, store_for

    # A worker that has once claimed a job may finish it, even if it is another's by now; and
    # nothing else stops a late one: neither its watchdog, nor the end of its session.
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
