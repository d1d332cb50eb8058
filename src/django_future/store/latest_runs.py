"""The latest runs of recurring jobs, without the history before them."""

from collections.abc import Sequence
from datetime import datetime

from django_future.models.fields import as_parameter
from django_future.store.base import Store


def latest_run_ids(
    store: Store, recurring_ids: Sequence[int], *, until: datetime, limit: int
) -> list[int]:
    """Return the ids of up to `limit` runs of each recurring job, for instants up to `until`."""
    if not recurring_ids:
        return []
    # Each step reads the entry of the index before the one that the last step has found. Only
    # MariaDB reads the later entries again. A window function would read all runs. So would one
    # subquery with a larger LIMIT or an OFFSET, on PostgreSQL without statistics.
    with store.connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH RECURSIVE latest (recurring_id, recurs_at, number) AS (
                SELECT recurring.id, (
                    SELECT run.recurs_at FROM django_future_scheduledjob AS run
                    WHERE run.recurring_id = recurring.id AND run.recurs_at <= %s
                    ORDER BY run.recurs_at DESC LIMIT 1
                ), 1
                FROM django_future_recurringjob AS recurring
                WHERE recurring.id IN ({", ".join(map(str, recurring_ids))})
                UNION ALL
                SELECT latest.recurring_id, (
                    SELECT run.recurs_at FROM django_future_scheduledjob AS run
                    WHERE run.recurring_id = latest.recurring_id
                    AND run.recurs_at < latest.recurs_at
                    ORDER BY run.recurs_at DESC LIMIT 1
                ), latest.number + 1
                FROM latest WHERE latest.recurs_at IS NOT NULL AND latest.number < {limit}
            )
            SELECT (
                SELECT run.id FROM django_future_scheduledjob AS run
                WHERE run.recurring_id = latest.recurring_id AND run.recurs_at = latest.recurs_at
                LIMIT 1
            )
            FROM latest WHERE latest.recurs_at IS NOT NULL
            """,
            [as_parameter(until, store.connection)],
        )
        return [pk for (pk,) in cursor.fetchall() if pk is not None]
