"""The statements that find groups of failures in their index, and count failures up to a limit."""

from collections.abc import Iterable, Sequence
from typing import Any

from django_future.store.backlog import rows_by_index
from django_future.store.base import JOBS, Store

INDEX = "future_job_failures"
MAX_SCANNED = 1000  # groups, in the order of their kinds of error; the newest of these are returned
MAX_WITHOUT_KIND = 200  # the newest failures, in which MySQL finds those without a kind of error
MAX_ERROR_END = 1000  # characters; the last line of an error is in them

Row = tuple[Any, ...]
Condition = tuple[str, Sequence[Any]]  # and its parameters

_OPEN = "status = 'failed' AND failure_note_id IS NULL"
_OF_HEAD = f"{_OPEN} AND error_kind = head.error_kind AND callable_name = head.callable_name"
_OF_GROUP = f"{_OPEN} AND error_kind = newest.error_kind AND callable_name = newest.callable_name"
_AFTER_HEAD = f"{_OPEN} AND (error_kind, callable_name) > (head.error_kind, head.callable_name)"
# With its first column, because PostgreSQL does not know that it is constant.
_ORDER = "ORDER BY failure_note_id, error_kind, callable_name, id"
_LAST = "ORDER BY failure_note_id DESC, error_kind DESC, callable_name DESC, id DESC"

# How each step of the scan is joined to the one before it, so that it reads one entry. For a
# condition on the id, PostgreSQL may read all jobs. SQLite has no LATERAL, and does not need it.
_NEXT = {
    "postgresql": f"CROSS JOIN LATERAL "
    f"(SELECT id, callable_name, error_kind {{jobs}} WHERE {_AFTER_HEAD} {_ORDER} LIMIT 1) AS job",
    "sqlite": f"JOIN {JOBS} AS job ON job.id = "
    f"(SELECT id {{jobs}} WHERE {_AFTER_HEAD} {_ORDER} LIMIT 1)",
}
_ERROR_END = {"sqlite": f"SUBSTR(error, -{MAX_ERROR_END})"}


def newest_groups(store: Store, limit: int, max_counted: int) -> list[Row]:
    """Return the groups of open failures with the newest jobs, the newest first.

    Each row has the callable, the kind of error, the number of jobs, the lowest and the highest id,
    the times at which these two jobs failed, and the end of the error of the job with the highest
    id. The number of jobs is at most one more than `count_limit`.
    """
    with_newest, count = _scan(store, limit, max_counted)
    ended = f"SELECT finished_at FROM {JOBS} WHERE id ="
    error_end = _ERROR_END.get(store.connection.vendor, f"RIGHT(error, {MAX_ERROR_END})")
    found = rows_by_index(
        store,
        f"""
        WITH RECURSIVE {with_newest}
        SELECT callable_name, error_kind, {count}, first_id, last_id, ({ended} first_id),
               ({ended} last_id), (SELECT {error_end} FROM {JOBS} WHERE id = last_id)
        FROM newest
        """,
    )
    found.sort(key=lambda row: -row[4])
    return _counted(store, found, max_counted) if store.connection.vendor == "mysql" else found


def count_limit(groups: int, max_counted: int) -> int:
    """Return how many jobs of each group are counted at most, the same for all groups."""
    return (max_counted - 1) // max(groups, 1) + 1


def counts(store: Store, conditions: Iterable[Condition], limit: int) -> list[int]:
    """Return how many failed jobs match each condition, at most `limit`."""
    # Without an order, PostgreSQL may choose another index, and others sort all entries with it.
    order = _ORDER if store.chooses_index_by_order else ""
    # On MySQL, the index also contains jobs that have not failed. They have no kind and no note.
    has_failed = "" if store.connection.vendor == "mysql" else "status = 'failed' AND"
    columns, parameters = [], list[Any]()
    for condition, values in conditions:
        failures = f"{_jobs(store)} WHERE {has_failed} {condition} {order} LIMIT {limit}"
        columns.append(f"(SELECT COUNT(*) FROM (SELECT 1 AS one {failures}) AS counted)")
        parameters += values
    if not columns:
        return []
    [row] = rows_by_index(store, f"SELECT {', '.join(columns)}", parameters)
    return [*row]


def _scan(store: Store, limit: int, max_counted: int) -> tuple[str, str]:
    """Return the definition of `newest`, and the expression for the number of its jobs."""
    jobs = _jobs(store)
    if store.connection.vendor == "mysql":
        return f"newest AS ({_grouped()} ORDER BY last_id DESC LIMIT {limit})", "number"
    # A loose index scan: each step skips the jobs of one group, and reads the next group.
    with_newest = f"""
        head AS (
            SELECT * FROM (
                SELECT id, callable_name, error_kind, 1 AS step {jobs} WHERE {_OPEN} {_ORDER}
                LIMIT 1
            ) AS first
            UNION ALL
            SELECT job.id, job.callable_name, job.error_kind, head.step + 1
            FROM head {_NEXT[store.connection.vendor].format(jobs=jobs)}
            WHERE head.step < {MAX_SCANNED}
        ),
        newest AS (
            SELECT callable_name, error_kind, id AS first_id,
                   (SELECT id {jobs} WHERE {_OF_HEAD} {_LAST} LIMIT 1) AS last_id
            FROM head ORDER BY last_id DESC LIMIT {limit}
        )
    """
    # `count_limit` and one more. Only the server knows yet how many groups there are.
    most = f"(SELECT {max_counted - 1} / COUNT(*) + 2 FROM newest)"
    counted = f"SELECT 1 AS one {jobs} WHERE {_OF_GROUP} {_ORDER} LIMIT {most}"
    return with_newest, f"(SELECT COUNT(*) FROM ({counted}) AS counted)"


def _grouped() -> str:
    """Return the query for the groups on MySQL, which does a loose index scan by itself.

    It needs another query for failures without a kind of error, because all jobs that have not
    failed come with them in the index.
    """
    columns = "callable_name, error_kind, MIN(id) AS first_id, MAX(id) AS last_id"
    return f"""
        SELECT {columns}, NULL AS number FROM {JOBS} FORCE INDEX FOR GROUP BY ({INDEX})
        WHERE failure_note_id IS NULL AND error_kind > ''
        GROUP BY failure_note_id, error_kind, callable_name
        UNION ALL
        SELECT {columns}, COUNT(*) AS number FROM (
            SELECT * FROM {JOBS} FORCE INDEX (future_job_status)
            WHERE status = 'failed' ORDER BY id DESC LIMIT {MAX_WITHOUT_KIND}
        ) AS latest
        WHERE failure_note_id IS NULL AND error_kind = '' GROUP BY callable_name, error_kind
    """


def _counted(store: Store, found: list[Row], max_counted: int) -> list[Row]:
    """Return the groups with their numbers, for which MySQL needs another statement."""
    condition = "failure_note_id IS NULL AND error_kind = %s AND callable_name = %s"
    uncounted = [(kind, name) for name, kind, number, *_ in found if number is None]
    limit = count_limit(len(found), max_counted) + 1
    numbers = iter(counts(store, ((condition, group) for group in uncounted), limit))
    return [(*row[:2], next(numbers) if row[2] is None else row[2], *row[3:]) for row in found]


def _jobs(store: Store) -> str:
    return f"FROM {JOBS} {store.index_hint.format(INDEX)}"
