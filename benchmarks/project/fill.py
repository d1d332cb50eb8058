"""Fills the table: `python -m benchmarks.project.fill COUNT [finished] [--queues N] ...`.

The jobs are due in years, or have finished years ago.
"""

import time
from argparse import ArgumentParser
from typing import TYPE_CHECKING

import django

from benchmarks.shape import DEFAULT_SHAPE, STATISTICS, Shape

if TYPE_CHECKING:
    from django_future import ScheduledJob

DAYS = {"waiting": 2 * 365, "finished": -3 * 365}  # until the first job; the last is a year later

TIMES = {
    "postgresql": "NOW() + INTERVAL '{days} days' + n * INTERVAL '{step} seconds'",
    # With microseconds, as Django writes it, although SQLite's clock has only milliseconds.
    "sqlite": "STRFTIME('%Y-%m-%d %H:%M:%f000', 'now', '{days} days', (n * {step}) || ' seconds')",
    "mysql": "UTC_TIMESTAMP(6) + INTERVAL {days} DAY + INTERVAL n * {step} SECOND",
}
PREPARE = {"mysql": ["SET max_recursive_iterations = 4294967295"]}
# Otherwise a checkpoint or a vacuum after the load would run during the measurement.
SETTLE = {
    "postgresql": ["CHECKPOINT"],
    "sqlite": ["PRAGMA wal_checkpoint(TRUNCATE)"],
    "mysql": [],
}
ANALYZE = {
    "postgresql": ["VACUUM ANALYZE django_future_scheduledjob"],
    "sqlite": ["ANALYZE"],
    "mysql": ["ANALYZE TABLE django_future_scheduledjob"],
}


def fill(count: int, state: str, shape: Shape) -> None:
    """Insert `count` jobs."""
    from benchmarks.recording import record
    from django_future import schedule_job

    copy_of(schedule_job("700d", record, args=[time.time()]), count, state, shape)


def copy_of(
    model: "ScheduledJob", count: int, state: str = "waiting", shape: Shape = DEFAULT_SHAPE
) -> None:
    """Insert copies of the job `model`, in the queues and priorities of `shape`."""
    from django.db import connection

    with connection.cursor() as cursor:
        for statement in PREPARE.get(connection.vendor, []):
            cursor.execute(statement)
        cursor.execute(_insert(model, connection.vendor, count, state, shape))
        settle = ANALYZE[connection.vendor] if shape.has_statistics else []
        for statement in [*settle, *SETTLE[connection.vendor]]:
            cursor.execute(statement)


def _insert(model: "ScheduledJob", vendor: str, count: int, state: str, shape: Shape) -> str:
    step = 365 * 86400 / count
    at = TIMES[vendor].format(days=DAYS[state], step=step)
    finished = {"status": "'complete'", "started_at": at, "finished_at": at}
    values = {
        **(finished if state == "finished" else {}),
        "scheduled_at": at,
        "expires_at": TIMES[vendor].format(days=DAYS[state] + 7, step=step),
        **_groups(vendor, shape),
    }
    columns = [str(field.column) for field in model._meta.concrete_fields if field.column != "id"]
    return f"""
        INSERT INTO django_future_scheduledjob ({", ".join(columns)})
        WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {count})
        SELECT {", ".join(values.get(column, column) for column in columns)}
        FROM series CROSS JOIN django_future_scheduledjob WHERE id = {model.pk}
    """


def _groups(vendor: str, shape: Shape) -> dict[str, str]:
    """Return the queue and the priority of row `n`, as `Shape.options` does."""
    division = "DIV" if vendor == "mysql" else "/"
    number = f"n % {shape.queues}"
    name = f"CONCAT('queue-', {number})" if vendor != "sqlite" else f"'queue-' || ({number})"
    priority = f"n {division} {shape.queues} % {shape.priorities} - {shape.priorities // 2}"
    return ({"queue_name": name} if shape.queues > 1 else {}) | (
        {"priority": priority} if shape.priorities > 1 else {}
    )


def main() -> None:
    """Insert jobs as the command line says; the environment has the default of the shape."""
    parser, default = ArgumentParser(), Shape.here()
    add = parser.add_argument
    add("count", type=int)
    add("state", nargs="?", choices=DAYS, default="waiting")
    add("--queues", type=int, default=default.queues)
    add("--priorities", type=int, default=default.priorities)
    add("--statistics", choices=STATISTICS, default=default.statistics)
    options = parser.parse_args()
    shape = Shape(options.queues, options.priorities, options.statistics)
    django.setup()
    fill(options.count, options.state, shape)


if __name__ == "__main__":
    main()
