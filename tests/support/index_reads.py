"""The number of index entries of jobs that a function reads, as counted by the database."""

from django.db import connection

INSTRUCTIONS_PER_ROW = 400  # of SQLite's virtual machine, an upper estimate for a claim


def count_entries_read(act):
    """Return how many index entries, and rows without an index, `act` reads."""
    return _COUNTERS[connection.vendor](act)


def _on_postgresql(act):
    before = _counted_by_postgresql()
    act()
    return _counted_by_postgresql() - before


def _counted_by_postgresql():
    # The primary key does not count: a claim uses it to write the rows that it found.
    with connection.cursor() as cursor:
        cursor.execute("SELECT PG_STAT_FORCE_NEXT_FLUSH()")
        cursor.execute(
            """
            SELECT seq_tup_read + (
                SELECT SUM(idx_tup_read) FROM pg_stat_user_indexes
                WHERE indexrelname LIKE 'future_job%'
            ) FROM pg_stat_user_tables WHERE relname = 'django_future_scheduledjob'
            """
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


_COUNTERS = {"postgresql": _on_postgresql, "mysql": _on_mysql, "sqlite": _on_sqlite}
