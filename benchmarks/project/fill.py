"""Loads a table: `python -m benchmarks.project.fill COUNT [finished]`.

The jobs wait for years, or have finished years ago.
"""

import sys
import time
from typing import TYPE_CHECKING

import django

if TYPE_CHECKING:
    from django_future import ScheduledJob

QUEUES, PRIORITIES = 10, 5
DAYS = {"waiting": 2 * 365, "finished": -3 * 365}  # to the first of them; the last is a year later

TIMES = {
    "postgresql": "NOW() + INTERVAL '{days} days' + n * INTERVAL '{step} seconds'",
    "sqlite": "STRFTIME('%Y-%m-%d %H:%M:%f', 'now', '{days} days', (n * {step}) || ' seconds')",
    "mysql": "UTC_TIMESTAMP(6) + INTERVAL {days} DAY + INTERVAL n * {step} SECOND",
}
PREPARE = {"mysql": ["SET max_recursive_iterations = 4294967295"]}
SETTLE = {
    # A checkpoint or a vacuum that the load sets off would fall into the measurement.
    "postgresql": ["VACUUM ANALYZE django_future_scheduledjob", "CHECKPOINT"],
    "sqlite": ["ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)"],
    "mysql": ["ANALYZE TABLE django_future_scheduledjob"],
}


def fill(count: int, state: str = "waiting") -> None:
    """Insert `count` jobs."""
    from benchmarks.recording import record
    from django_future import schedule_job

    copy_of(schedule_job("700d", record, args=[time.time()]), count, state)


def copy_of(model: "ScheduledJob", count: int, state: str = "waiting") -> None:
    """Insert jobs like `model` in five priorities and ten queues; let the database take note."""
    from django.db import connection

    with connection.cursor() as cursor:
        for statement in PREPARE.get(connection.vendor, []):
            cursor.execute(statement)
        cursor.execute(_insert(model, connection.vendor, count, state))
        for statement in SETTLE[connection.vendor]:
            cursor.execute(statement)


def _insert(model: "ScheduledJob", vendor: str, count: int, state: str) -> str:
    step = 365 * 86400 / count
    at = TIMES[vendor].format(days=DAYS[state], step=step)
    finished = {"status": "'complete'", "started_at": at, "finished_at": at}
    values = {
        **(finished if state == "finished" else {}),
        "scheduled_at": at,
        "expires_at": TIMES[vendor].format(days=DAYS[state] + 7, step=step),
        "queue_name": f"{_text('queue-', vendor)}",
        "priority": f"n % 11 % {PRIORITIES} - {PRIORITIES // 2}",
    }
    columns = [str(field.column) for field in model._meta.concrete_fields if field.column != "id"]
    return f"""
        INSERT INTO django_future_scheduledjob ({", ".join(columns)})
        WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {count})
        SELECT {", ".join(values.get(column, column) for column in columns)}
        FROM series CROSS JOIN django_future_scheduledjob WHERE id = {model.pk}
    """


def _text(prefix: str, vendor: str) -> str:
    number = f"n % {QUEUES}"
    return f"CONCAT('{prefix}', {number})" if vendor != "sqlite" else f"'{prefix}' || ({number})"


if __name__ == "__main__":
    django.setup()
    fill(int(sys.argv[1]), *sys.argv[2:])
