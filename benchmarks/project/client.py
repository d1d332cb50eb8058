"""Schedules the measured jobs: `python -m benchmarks.project.client ...`."""

from datetime import UTC, datetime

import django

from benchmarks import client
from benchmarks.recording import record


def main() -> None:
    """Schedule jobs as the command line says."""
    django.setup()
    from django.db import connection

    connection.ensure_connection()
    client.schedule(ahead, now)


def ahead(times) -> None:
    """Schedule a job for each of `times`."""
    from django_future import schedule_jobs

    schedule_jobs(
        {"when": datetime.fromtimestamp(at, UTC), "callable": record, "args": [at]} for at in times
    )


def now(called_at) -> None:
    """Schedule a job for now."""
    from django_future import schedule_job

    schedule_job("0s", record, args=[called_at])


if __name__ == "__main__":
    main()
