"""The number of index entries of jobs that a function reads, as counted by the database."""

from django.db import connection

INSTRUCTIONS_PER_ROW = 400  # of SQLite's virtual machine, an upper estimate for a claim


def count_entries_read(act, *, of_primary_key=False):
    """Return how many index entries, and rows without an index, `act` reads.

    On PostgreSQL, entries of the primary key count only with `of_primary_key`: a claim uses them to
    write the rows that it found.
    """
    if connection.vendor == "postgresql":
        return _on_postgresql(act, "%" if of_primary_key else "future_job%")
    return _COUNTERS[connection.vendor](act)


def _on_postgresql(act, indexes):
    before = _counted_by_postgresql(indexes)
    act()
    return _counted_by_postgresql(indexes) - before


def _counted_by_postgresql(indexes):
    with connection.cursor() as cursor:
        cursor.execute("SELECT PG_STAT_FORCE_NEXT_FLUSH()")
        cursor.execute(
            """
            SELECT seq_tup_read + (
                SELECT SUM(idx_tup_read) FROM pg_stat_user_indexes
                WHERE relname = 'django_future_scheduledjob' AND indexrelname LIKE %s
            ) FROM pg_stat_user_tables WHERE relname = 'django_future_scheduledjob'
            """,
            [indexes],
        )
        (count,) = cursor.fetchone()
    return int(count)


def _on_mysql(act):
    before = _steps_of_mysql()
    act()
    return _steps_of_mysql() - before


def _steps_of_mysql():
    with connection.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE 'Handler_read%'")
        counts = dict(cursor.fetchall())
    return sum(int(counts[f"Handler_read_{name}"]) for name in ("next", "prev", "rnd_next"))


def _on_sqlite(act):
    instructions = 0

    def count():
        nonlocal instructions
        instructions += 100
        return 0

    connection.ensure_connection()
    connection.connection.set_progress_handler(count, 100)
    try:
        act()
    finally:
        connection.connection.set_progress_handler(None, 0)
    return instructions / INSTRUCTIONS_PER_ROW


_COUNTERS = {"mysql": _on_mysql, "sqlite": _on_sqlite}
