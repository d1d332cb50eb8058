"""The statements of a worker on PostgreSQL: claim, find the next due job, complete, expire."""

from enum import Enum
from functools import cache

from django_future.store.claimed import CLAIM_COLUMNS, claim_assignments
from django_future.store.completion import finish
from django_future.store.postgresql.prepared import BY_LOCATION_SETTINGS, Prepared
from django_future.store.selection import HANDLER, PAUSED

LEASE_LOST = "the lease of this job is lost"
FINISH = Prepared(
    f"""
    WITH finished AS ({finish("%({})s".format)} RETURNING id)
    SELECT (CASE WHEN EXISTS (SELECT FROM finished) THEN '1' ELSE '{LEASE_LOST}' END)::integer
    """,
    started_at="timestamptz",
    finished_at="timestamptz",
    return_value="text",
    id="bigint",
    lease="bigint",
    worker="text",
)

# The status is compared as an expression, so that the planner finds the rows by their ids. Through
# the index of statuses, it may compare each running job with each element of the arrays.
FINISH_ALL = Prepared(
    """
    WITH finished AS (
        UPDATE django_future_scheduledjob AS job
        SET status = 'complete', return_value = done.return_value, error = '', unique_key = NULL,
            started_at = 'epoch'::timestamptz + done.started_at * '1 microsecond'::interval,
            finished_at = 'epoch'::timestamptz + done.finished_at * '1 microsecond'::interval
        FROM UNNEST(%(ids)s, %(leases)s, %(started_at)s, %(finished_at)s, %(return_values)s)
            AS done (id, lease, started_at, finished_at, return_value)
        WHERE job.id = done.id AND job.lease = done.lease AND job.worker = %(worker)s
        AND job.status || '' = 'running'
        RETURNING 1
    )
    SELECT COUNT(*) FROM finished
    """,
    ids="bigint[]",
    leases="bigint[]",
    started_at="bigint[]",
    finished_at="bigint[]",
    return_values="text[]",
    worker="text",
)


# Locks the rows that expire, for this one statement. A rival that claims or expires jobs skips
# them, and sees them as expired later.
EXPIRE = Prepared(
    """
    WITH expired AS (
        UPDATE django_future_scheduledjob
        SET status = 'expired', finished_at = %(now)s, unique_key = NULL
        WHERE ctid = ANY(ARRAY(
            SELECT ctid FROM django_future_scheduledjob
            WHERE status = 'scheduled' AND expires_at <= %(at)s
            ORDER BY expires_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
        ))
        RETURNING id, callable_name, queue_name, task_backend IS NOT NULL AS is_task
    )
    SELECT id, callable_name, queue_name, is_task FROM expired
    """,
    settings=BY_LOCATION_SETTINGS,
    at="timestamptz",
    now="timestamptz",
    limit="bigint",
)


# The last row of a claim that could not claim all the jobs that it found.
CHANGED_BY_RIVAL = (None,) * len(CLAIM_COLUMNS)


class Queues(Enum):
    """The condition on queues: all, those in `queue_names`, or all others."""

    ALL = ""
    # IS TRUE prevents a join.
    NAMED = "AND (queue_name IN (SELECT UNNEST(%(queue_names)s))) IS TRUE"
    OTHERS = "AND queue_name NOT IN (SELECT UNNEST(%(queue_names)s))"


# How many entries of a priority are read to find jobs of some queues among the jobs of all queues.
# If the jobs of other queues come before them, each queue is queried by itself. If queues are
# excluded, the number of the others is unknown.
SCAN_PER_QUEUE, MAX_SCAN, SCAN_FOR_OTHERS = 4, 1000, 100

# The server reads each list into a hash table, once for each statement.
_CLAIMABLE = f"""
    AND (expires_at IS NULL OR expires_at > %(at)s) AND id <= %(up_to_id)s
    AND queue_name NOT IN ({PAUSED})
    AND {HANDLER} NOT IN (SELECT UNNEST(%(unknown_handlers)s))
"""

# Each query of waiting jobs fits one index only: by conditions on its first columns, and by an
# order that no other index has. So only one plan needs no sort, even with wrong statistics. The
# queue is compared with an array, because the planner drops a column that equals one value from the
# order, and then the other index has the same order.
_WAITING = "FROM django_future_scheduledjob WHERE status = 'scheduled'"
_BY_PRIORITY = "priority DESC, scheduled_at, id"
_OF_PRIORITY = f"{_WAITING} AND priority = head.priority"
_OF_QUEUE = f"{_OF_PRIORITY} AND queue_name = ANY(ARRAY[name.queue_name])"
_BY_QUEUE = f"queue_name, {_BY_PRIORITY}"

_DUE = "AND scheduled_at <= %(at)s"
_LOCKED = "LIMIT %(limit)s FOR UPDATE SKIP LOCKED"

_TYPES = {
    "expected": "smallint", "at": "timestamptz", "up_to_id": "bigint", "unknown_handlers": "text[]",
}  # fmt: skip
_TYPES_OF_QUEUES = {"queue_names": "text[]", "scan": "bigint"}
_TYPES_OF_LAST = {"last_scheduled_at": "timestamptz", "last_id": "bigint"}

# The priorities of waiting jobs, the highest first. If no job has a priority above `expected`, it
# begins with `expected` without a search. Such a search would scan the entries of all jobs that
# were just claimed and are not vacuumed yet. Not MAX(), which has other plans.
_HIGHEST = f"ORDER BY {_BY_PRIORITY} LIMIT 1"
_PRIORITIES = f"""
    head AS (
        SELECT COALESCE(
            (SELECT priority {_WAITING} AND priority > %(expected)s {_HIGHEST}), %(expected)s
        ) AS priority
        UNION ALL
        SELECT (SELECT priority {_WAITING} AND priority < head.priority {_HIGHEST})
        FROM head WHERE head.priority IS NOT NULL
    )
"""


@cache
def claim(queues: Queues) -> Prepared:
    """Return the statement that claims up to `limit` jobs of `queues`.

    It reads one priority after the other, until it has enough jobs. Due jobs come first in each
    priority, so the future jobs after them cost nothing.
    """
    # Locks the rows that it claims, for this one statement. A rival skips them and claims the next
    # ones. A row that a rival has changed since the statement began has another location now. It is
    # locked, counts for the limit, and is not claimed. Then `CHANGED_BY_RIVAL` is the last row. The
    # locations are an array, because for a join the planner may read the whole table.
    due = _due_of_all() if queues is Queues.ALL else _due_of_some(queues)
    return Prepared(
        f"""
        WITH RECURSIVE {_with(queues)},
        locked AS MATERIALIZED (
            SELECT due.location FROM head CROSS JOIN LATERAL ({due}) AS due LIMIT %(limit)s
        ),
        claimed AS (
            UPDATE django_future_scheduledjob AS job
            SET {claim_assignments("%(worker)s", "%(now)s")}
            WHERE ctid = ANY(ARRAY(SELECT location FROM locked))
            RETURNING {", ".join(map(_as_claimed, CLAIM_COLUMNS))}
        )
        SELECT * FROM claimed
        UNION ALL
        SELECT {", ".join(["NULL"] * len(CHANGED_BY_RIVAL))}
        WHERE (SELECT COUNT(*) FROM claimed) < (SELECT COUNT(*) FROM locked)
        """,
        settings=BY_LOCATION_SETTINGS,
        **_types(queues),
        **(_TYPES_OF_LAST if queues is Queues.ALL else {}),
        limit="bigint",
        worker="text",
        now="timestamptz",
    )


def _due_of_all() -> str:
    """Return the query for the due jobs of one priority, first those after the last claimed job.

    Most entries before that job belong to rows that were claimed and are not vacuumed yet.
    """
    last = f"({_of_expected('scheduled_at', 'timestamptz')}, {_of_expected('id', 'bigint')})"
    due = f"SELECT ctid AS location {_OF_PRIORITY} {_DUE} {_CLAIMABLE}"
    return f"""
        SELECT due.location FROM (
            {due} AND (scheduled_at, id) > {last} ORDER BY {_BY_PRIORITY} {_LOCKED}
        ) AS due
        UNION ALL
        SELECT due.location FROM (
            {due} AND (scheduled_at, id) <= {last} ORDER BY {_BY_PRIORITY} {_LOCKED}
        ) AS due
    """


def _of_expected(column: str, kind: str) -> str:
    first = {"timestamptz": "'-infinity'", "bigint": "0"}[kind]
    return f"CASE WHEN head.priority = %(expected)s THEN %(last_{column})s ELSE {first}::{kind} END"


def _due_of_some(queues: Queues) -> str:
    """Return the query for the due jobs of one priority in some queues.

    It first scans the first entries of all queues. Then it reads the remaining jobs of each queue,
    beginning with the queue whose first job is the earliest.
    """
    scan = f"""
        SELECT scheduled_at, id {_OF_PRIORITY} {_DUE} ORDER BY {_BY_PRIORITY}
        OFFSET %(scan)s LIMIT 1
    """
    last = "(COALESCE(last.scheduled_at, %(at)s), COALESCE(last.id, %(up_to_id)s))"
    rest = f"{_OF_QUEUE} {_DUE} {_CLAIMABLE} AND (scheduled_at, id) > (last.scheduled_at, last.id)"
    first_at = f"SELECT scheduled_at {rest} ORDER BY {_BY_QUEUE} LIMIT 1"
    return f"""
        SELECT due.location FROM (SELECT) AS one LEFT JOIN LATERAL ({scan}) AS last ON TRUE
        CROSS JOIN LATERAL (
            SELECT first.location FROM (
                SELECT ctid AS location {_OF_PRIORITY} {_DUE} AND (scheduled_at, id) <= {last}
                {queues.value} {_CLAIMABLE} ORDER BY {_BY_PRIORITY} {_LOCKED}
            ) AS first
            UNION ALL
            SELECT rest.location FROM (
                SELECT queue_name, ({first_at}) AS first_at FROM name
                WHERE last.id IS NOT NULL ORDER BY first_at
            ) AS name CROSS JOIN LATERAL (
                SELECT ctid AS location {rest} ORDER BY {_BY_QUEUE} {_LOCKED}
            ) AS rest
            WHERE name.first_at IS NOT NULL
        ) AS due
    """


def _as_claimed(name: str) -> str:
    # As a number, because the driver parses a timestamp in more time than a small job takes.
    if name in {"scheduled_at", "expires_at", "created_at", "run_after"}:
        return f"(EXTRACT(EPOCH FROM job.{name}) * 1000000)::bigint"
    return f"job.{name}"


@cache
def next_due(queues: Queues) -> Prepared:
    """Return the statement that finds when the next job of `queues` is due."""
    first = _first_of_all() if queues is Queues.ALL else _first_of_some(queues)
    return Prepared(
        f"""
        WITH RECURSIVE {_with(queues)}
        SELECT MIN(first.scheduled_at) FROM head CROSS JOIN LATERAL ({first}) AS first
        """,
        **_types(queues),
    )


def _first_of_all() -> str:
    return f"SELECT scheduled_at {_OF_PRIORITY} {_CLAIMABLE} ORDER BY {_BY_PRIORITY} LIMIT 1"


def _first_of_some(queues: Queues) -> str:
    """Return the query for the first job of one priority, in the way of `_due_of_some`."""
    columns = "id, scheduled_at, expires_at, queue_name, callable_name, content_type_id"
    scan = f"{_OF_PRIORITY} ORDER BY {_BY_PRIORITY}"
    return f"""
        (SELECT scheduled_at FROM (SELECT {columns} {scan} LIMIT %(scan)s) AS scan
        WHERE TRUE {queues.value} {_CLAIMABLE} LIMIT 1)
        UNION ALL
        SELECT MIN(rest.scheduled_at) FROM name CROSS JOIN LATERAL (
            SELECT scheduled_at {_OF_QUEUE} {_CLAIMABLE} ORDER BY {_BY_QUEUE} LIMIT 1
        ) AS rest
        WHERE EXISTS (SELECT {scan} OFFSET %(scan)s LIMIT 1)
        LIMIT 1
    """


def _types(queues: Queues) -> dict[str, str]:
    return _TYPES if queues is Queues.ALL else _TYPES | _TYPES_OF_QUEUES


def _with(queues: Queues) -> str:
    return {
        Queues.ALL: _PRIORITIES,
        Queues.NAMED: f"{_PRIORITIES}, name AS (SELECT UNNEST(%(queue_names)s) AS queue_name)",
        Queues.OTHERS: f"{_PRIORITIES}, {_OTHER_NAMES}",
    }[queues]


# A loose index scan: each step skips the jobs of one name, and reads the next name.
_OTHER_NAMES = f"""
    each AS (
        SELECT ''::varchar AS queue_name
        UNION ALL
        SELECT (
            SELECT queue_name {_WAITING} AND queue_name > each.queue_name
            ORDER BY {_BY_QUEUE} LIMIT 1
        ) FROM each WHERE each.queue_name IS NOT NULL
    ),
    name AS (SELECT queue_name FROM each WHERE queue_name IS NOT NULL {Queues.OTHERS.value})
"""
