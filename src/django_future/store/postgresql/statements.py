"""What a worker says to PostgreSQL: to claim, to look ahead, to finish."""

from enum import Enum
from functools import cache

from django_future.store.claimed import CLAIM_COLUMNS, claim_assignments
from django_future.store.completion import finish
from django_future.store.postgresql.prepared import Prepared
from django_future.store.selection import HANDLER, PAUSED

IS_LOST = "the lease of this job is lost"
FINISH = Prepared(
    f"""
    WITH finished AS ({finish("%({})s".format)} RETURNING id)
    SELECT (CASE WHEN EXISTS (SELECT FROM finished) THEN '1' ELSE '{IS_LOST}' END)::integer
    """,
    started_at="timestamptz",
    finished_at="timestamptz",
    return_value="text",
    id="bigint",
    lease="bigint",
    worker="text",
)

# The state is compared as an expression, so that the rows are found by their ids: through the index
# of states the planner may go from each row that runs to each of the array.
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


# Locks the rows it marks, for the length of this one statement. A rival, which may claim them,
# skips them, and finds them expired later.
EXPIRE = Prepared(
    """
    WITH expired AS (
        UPDATE django_future_scheduledjob
        SET status = 'expired', finished_at = %(now)s, unique_key = NULL
        WHERE id = ANY(ARRAY(
            SELECT id FROM django_future_scheduledjob
            WHERE status = 'scheduled' AND expires_at <= %(at)s
            ORDER BY expires_at LIMIT %(most)s FOR UPDATE SKIP LOCKED
        ))
        RETURNING id, callable_name
    )
    SELECT id, callable_name FROM expired
    """,
    at="timestamptz",
    now="timestamptz",
    most="bigint",
)


class Queues(Enum):
    """Which queues a statement is for: all, those in its `queue_names`, or all but those."""

    ALL = ""
    NAMED = "AND (queue_name IN (SELECT UNNEST(%(queue_names)s))) IS TRUE"  # so it is no join
    OTHERS = "AND queue_name NOT IN (SELECT UNNEST(%(queue_names)s))"


# Entries of a priority that are read to find jobs of some queues among all. If that is not enough,
# because the jobs of other queues stand before them, each queue is looked into by itself. How many
# queues there are besides those that are left out is not known beforehand.
SCAN_PER_QUEUE, MAX_SCAN, SCAN_FOR_OTHERS = 4, 1000, 100

# The server reads each list once in a statement, into a hash table.
_WANTED = f"""
    AND (expires_at IS NULL OR expires_at > %(at)s) AND id <= %(up_to_id)s
    AND queue_name NOT IN ({PAUSED})
    AND {HANDLER} NOT IN (SELECT UNNEST(%(unknown_handlers)s))
"""

# Each query of what waits names one index: by conditions on the first columns of it, and by an
# order that no other index has. So there is only one plan that needs no sort, whatever the planner
# believes of the table. The queue is compared as one of an array, because what is equal to one
# value the planner leaves out of the order, and then the other index has that order, too.
_WAITING = "FROM django_future_scheduledjob WHERE status = 'scheduled'"
_BY_PRIORITY = "priority DESC, scheduled_at, id"
_OF_LEVEL = f"{_WAITING} AND priority = level.priority"
_OF_QUEUE = f"{_OF_LEVEL} AND queue_name = ANY(ARRAY[name.queue_name])"
_BY_QUEUE = f"queue_name, {_BY_PRIORITY}"

_DUE = "AND scheduled_at <= %(at)s"
_LOCKED = "LIMIT %(most)s FOR UPDATE SKIP LOCKED"

_TYPES = {
    "expected": "smallint", "at": "timestamptz", "up_to_id": "bigint", "unknown_handlers": "text[]",
}  # fmt: skip
_TYPES_OF_QUEUES = {"queue_names": "text[]", "glance": "bigint"}
_TYPES_OF_LAST = {"last_scheduled_at": "timestamptz", "last_id": "bigint"}

# The priorities that wait, the highest first. It begins with `expected` if nothing above that
# waits, without a look whether that waits: to look for the first that does is to pass all that were
# just claimed and are not vacuumed yet. Not MAX(), which has other plans.
_HIGHEST = f"ORDER BY {_BY_PRIORITY} LIMIT 1"
_LEVEL = f"""
    level AS (
        SELECT COALESCE(
            (SELECT priority {_WAITING} AND priority > %(expected)s {_HIGHEST}), %(expected)s
        ) AS priority
        UNION ALL
        SELECT (SELECT priority {_WAITING} AND priority < level.priority {_HIGHEST})
        FROM level WHERE level.priority IS NOT NULL
    )
"""


@cache
def claim(queues: Queues) -> Prepared:
    """Return the statement that claims `most` jobs of `queues`.

    Locks the rows it takes, for the length of this one statement. A rival skips them and takes the
    next ones. It visits one priority after the other, and stops once it has enough: what is due
    stands at the head of each, and future jobs behind it cost nothing.
    """
    # The ids are an array, because to join a table with them the planner may read all of the table.
    due = _due_of_all() if queues is Queues.ALL else _due_of_some(queues)
    return Prepared(
        f"""
        WITH RECURSIVE {_with(queues)}
        UPDATE django_future_scheduledjob AS job
        SET {claim_assignments("%(worker)s", "%(now)s")}
        WHERE id = ANY(ARRAY(
            SELECT due.id FROM level CROSS JOIN LATERAL ({due}) AS due LIMIT %(most)s
        ))
        RETURNING {", ".join(map(_as_claimed, CLAIM_COLUMNS))}
        """,
        **_types(queues),
        **(_TYPES_OF_LAST if queues is Queues.ALL else {}),
        most="bigint",
        worker="text",
        now="timestamptz",
    )


def _due_of_all() -> str:
    """Return the jobs of one priority that are due: those after the last one claimed come first.

    What stands before it are, with few exceptions, rows that were claimed and are not vacuumed yet.
    """
    last = f"({_of_expected('scheduled_at', 'timestamptz')}, {_of_expected('id', 'bigint')})"
    due = f"SELECT id {_OF_LEVEL} {_DUE} {_WANTED}"
    return f"""
        SELECT due.id FROM (
            {due} AND (scheduled_at, id) > {last} ORDER BY {_BY_PRIORITY} {_LOCKED}
        ) AS due
        UNION ALL
        SELECT due.id FROM (
            {due} AND (scheduled_at, id) <= {last} ORDER BY {_BY_PRIORITY} {_LOCKED}
        ) AS due
    """


def _of_expected(column: str, kind: str) -> str:
    first = {"timestamptz": "'-infinity'", "bigint": "0"}[kind]
    return (
        f"CASE WHEN level.priority = %(expected)s THEN %(last_{column})s ELSE {first}::{kind} END"
    )


def _due_of_some(queues: Queues) -> str:
    """Return the jobs of one priority that are due: first those among the first of all queues.

    Then what is left of each queue, of which that comes first whose first job does.
    """
    glance = f"""
        SELECT scheduled_at, id {_OF_LEVEL} {_DUE} ORDER BY {_BY_PRIORITY}
        OFFSET %(glance)s LIMIT 1
    """
    last = "(COALESCE(last.scheduled_at, %(at)s), COALESCE(last.id, %(up_to_id)s))"
    rest = f"{_OF_QUEUE} {_DUE} {_WANTED} AND (scheduled_at, id) > (last.scheduled_at, last.id)"
    first_at = f"SELECT scheduled_at {rest} ORDER BY {_BY_QUEUE} LIMIT 1"
    return f"""
        SELECT due.id FROM (SELECT) AS one LEFT JOIN LATERAL ({glance}) AS last ON TRUE
        CROSS JOIN LATERAL (
            SELECT first.id FROM (
                SELECT id {_OF_LEVEL} {_DUE} AND (scheduled_at, id) <= {last}
                {queues.value} {_WANTED} ORDER BY {_BY_PRIORITY} {_LOCKED}
            ) AS first
            UNION ALL
            SELECT rest.id FROM (
                SELECT queue_name, ({first_at}) AS first_at FROM name
                WHERE last.id IS NOT NULL ORDER BY first_at
            ) AS name CROSS JOIN LATERAL (
                SELECT id {rest} ORDER BY {_BY_QUEUE} {_LOCKED}
            ) AS rest
            WHERE name.first_at IS NOT NULL
        ) AS due
    """


def _as_claimed(name: str) -> str:
    # The driver takes longer to read a timestamp than a worker to run a small job.
    if name in {"scheduled_at", "expires_at"}:
        return f"(EXTRACT(EPOCH FROM job.{name}) * 1000000)::bigint"
    return f"job.{name}"


@cache
def next_due(queues: Queues) -> Prepared:
    """Return the statement that tells when the next job of `queues` is due."""
    first = _first_of_all() if queues is Queues.ALL else _first_of_some(queues)
    return Prepared(
        f"""
        WITH RECURSIVE {_with(queues)}
        SELECT MIN(first.scheduled_at) FROM level CROSS JOIN LATERAL ({first}) AS first
        """,
        **_types(queues),
    )


def _first_of_all() -> str:
    return f"SELECT scheduled_at {_OF_LEVEL} {_WANTED} ORDER BY {_BY_PRIORITY} LIMIT 1"


def _first_of_some(queues: Queues) -> str:
    """Return the first job of one priority, looked for as `_due_of_some` does."""
    columns = "id, scheduled_at, expires_at, queue_name, callable_name, content_type_id"
    glance = f"{_OF_LEVEL} ORDER BY {_BY_PRIORITY}"
    return f"""
        (SELECT scheduled_at FROM (SELECT {columns} {glance} LIMIT %(glance)s) AS glance
        WHERE TRUE {queues.value} {_WANTED} LIMIT 1)
        UNION ALL
        SELECT MIN(rest.scheduled_at) FROM name CROSS JOIN LATERAL (
            SELECT scheduled_at {_OF_QUEUE} {_WANTED} ORDER BY {_BY_QUEUE} LIMIT 1
        ) AS rest
        WHERE EXISTS (SELECT {glance} OFFSET %(glance)s LIMIT 1)
        LIMIT 1
    """


def _types(queues: Queues) -> dict[str, str]:
    return _TYPES if queues is Queues.ALL else _TYPES | _TYPES_OF_QUEUES


def _with(queues: Queues) -> str:
    return {
        Queues.ALL: _LEVEL,
        Queues.NAMED: f"{_LEVEL}, name AS (SELECT UNNEST(%(queue_names)s) AS queue_name)",
        Queues.OTHERS: f"{_LEVEL}, {_OTHER_NAMES}",
    }[queues]


# From one name to the next in an index that begins with them, past all the jobs of each.
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
