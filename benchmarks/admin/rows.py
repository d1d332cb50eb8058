"""Writes the rows of the benchmark with SQL. It does not ANALYZE; autovacuum may, at any time."""

from django.db import connection

from django_future.models import JobStatistics, RecurringJob, ScheduledJob

RECURRING = 1000
FAILED_SHARE = 20  # one of so many jobs has failed
MINUTES = 7 * 24 * 60


def write_rows(jobs: int) -> None:
    """Write the jobs of one queue, recurring jobs, and the statistics of a week."""
    number, later = "i", "now() + i * interval '1 second'"
    _fill(ScheduledJob, jobs, {
        "callable_name": "'benchmarks.project.jobs.noop'",
        "args": "'[' || i || ']'",
        "kwargs": "'{}'",
        "status": f"CASE WHEN i % {FAILED_SHARE} = 0 THEN 'failed' ELSE 'scheduled' END",
        "scheduled_at": later,
        "created_at": "now()",
        "finished_at": f"CASE WHEN i % {FAILED_SHARE} = 0 THEN now() - i * interval '1 ms' END",
        "error": f"CASE WHEN i % {FAILED_SHARE} = 0 THEN 'ValueError: no' ELSE '' END",
        "error_kind": f"CASE WHEN i % {FAILED_SHARE} = 0 THEN 'ValueError in f' || i / 20 % 50 "
                      "ELSE '' END",
        # The failed ones are runs of recurring jobs.
        "recurring": f"CASE WHEN i % {FAILED_SHARE} = 0 THEN 1 + i / {FAILED_SHARE} % {RECURRING} "
                     "END",
        "recurs_at": f"CASE WHEN i % {FAILED_SHARE} = 0 THEN now() - i * interval '1 s' END",
    })  # fmt: skip
    _fill(RecurringJob, RECURRING, {
        "name": f"'recurring ' || {number}",
        "callable_name": "'benchmarks.project.jobs.noop'",
        "args": "'[1]'",
        "kwargs": "'{}'",
        "cron": "'30 2 * * *'",
        "timezone": "'UTC'",
        "next_run_at": later,
        "anchor_at": "now()",
    })  # fmt: skip
    minute = "date_trunc('minute', now()) - i * interval '1 minute'"
    _fill(JobStatistics, MINUTES, {
        "minute_at": minute, "queue_name": "'default'", "complete": "100", "failed": "2",
        "late_10ms": "60", "late_50ms": "40",
    })  # fmt: skip


def _fill(model, count: int, values: dict[str, str]) -> None:
    """Insert `count` rows, with the default of each column that is not in `values`."""
    columns, expressions, parameters = [], [], []
    for field in model._meta.concrete_fields:
        given = values.get(field.name)
        if given is None and (field.primary_key or field.null):
            continue
        columns.append(connection.ops.quote_name(field.column))
        expressions.append(given or "%s")
        if given is None:
            parameters.append(field.get_db_prep_save(field.get_default(), connection))
    source = f"FROM generate_series(1, {int(count)}) AS i"
    with connection.cursor() as cursor:
        # Without parameters, the driver would not read %% as one character.
        sql = f"INSERT INTO {model._meta.db_table} ({', '.join(columns)}) "
        escaped = [one if one == "%s" else one.replace("%", "%%") for one in expressions]
        cursor.execute(f"{sql}SELECT {', '.join(escaped)} {source}", parameters)
