"""Schedules the jobs that are measured: `python -m benchmarks.project.client ...`."""

from datetime import UTC, datetime

import django

from benchmarks import client
from benchmarks.recording import record


def main() -> None:
    """Schedule what the command line says."""
    django.setup()
    from django.db import connection

    connection.ensure_connection()
    client.schedule(ahead, now)


def ahead(instants) -> None:
    """Schedule a job for each of `instants`."""
    from django_future import schedule_jobs

    schedule_jobs(
        {"when": datetime.fromtimestamp(at, UTC), "callable": record, "args": [at]}
        for at in instants
    )


def now(called_at) -> None:
    """Schedule a job for this moment."""
    from django_future import schedule_job

    schedule_job("0s", record, args=[called_at])


if __name__ == "__main__":
    main()
