"""What a worker says to PostgreSQL: to claim, to look ahead, to finish."""

from functools import cache

from django_future.store.completion import finish
from django_future.store.prepared import Prepared
from django_future.store.rows import CLAIMED
from django_future.store.selection import HANDLER, PAUSED

IS_LOST = "the lease of this job is lost"
FINISH = Prepared(
    f"""
    WITH finished AS ({finish("%({})s".format)} RETURNING id)
    SELECT (CASE WHEN EXISTS (SELECT FROM finished) THEN '1' ELSE '{IS_LOST}' END)::integer
    """,  # noqa: S608 - all of it is written in this package
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

# The server reads each list once in a statement, into a hash table.
_WANTED = f"""
    AND queue_name NOT IN ({PAUSED})
    AND {HANDLER} NOT IN (SELECT UNNEST(%(unknown_handlers)s))
"""


@cache
def claim(*, is_for_all: bool) -> Prepared:
    # Locks the rows it takes, for the length of this one statement. A rival skips them and takes
    # the next ones. It visits one priority after the other, and stops once it has enough: what is
    # due stands at the head of each, and future jobs behind it cost nothing. The ids are an array,
    # because to join a table with them the planner may read all of the table.
    return Prepared(
        f"""
        WITH RECURSIVE {_levels(is_for_all=is_for_all)}
        UPDATE django_future_scheduledjob AS job
        SET status = 'running', worker = %(worker)s, lease = lease + 1, attempts = attempts + 1,
            started_at = CASE WHEN rescues = 0 AND is_rescuable THEN %(now)s END
        WHERE id = ANY(ARRAY(
            SELECT job.id FROM {_in_order(is_for_all=is_for_all)} CROSS JOIN LATERAL (
                SELECT id {_due(is_for_all=is_for_all)}
                ORDER BY {_order(is_for_all=is_for_all)} LIMIT %(most)s
                FOR UPDATE SKIP LOCKED
            ) AS job LIMIT %(most)s
        ))
        RETURNING {", ".join(map(_as_claimed, CLAIMED))}
        """,  # noqa: S608 - all of it is written in this package
        queue_names="text[]",
        expected="smallint",
        at="timestamptz",
        up_to_id="bigint",
        unknown_handlers="text[]",
        most="bigint",
        worker="text",
        now="timestamptz",
    )


def _in_order(*, is_for_all: bool) -> str:
    """Return the levels, the highest priority first, and of several queues the one due first."""
    if is_for_all:
        return "level"
    first_at = f"SELECT scheduled_at {_due(is_for_all=False)} ORDER BY {_order(is_for_all=False)} LIMIT 1"
    return f"(SELECT level.* FROM level ORDER BY priority DESC, ({first_at})) AS level"  # noqa: S608 - all of it is written in this package


def _due(*, is_for_all: bool) -> str:
    return f"""
        FROM django_future_scheduledjob
        WHERE status = 'scheduled' AND priority = level.priority {_same(is_for_all=is_for_all)}
        AND scheduled_at <= %(at)s AND (expires_at IS NULL OR expires_at > %(at)s)
        AND id <= %(up_to_id)s {_WANTED}
    """


def _as_claimed(name: str) -> str:
    # The driver takes longer to read a timestamp than a worker to run a small job.
    if name in {"scheduled_at", "expires_at"}:
        return f"(EXTRACT(EPOCH FROM job.{name}) * 1000000)::bigint"
    return f"job.{name}"


@cache
def next_due(*, is_for_all: bool) -> Prepared:
    return Prepared(
        f"""
        WITH RECURSIVE {_levels(is_for_all=is_for_all)}
        SELECT MIN(job.scheduled_at) FROM level CROSS JOIN LATERAL (
            SELECT scheduled_at FROM django_future_scheduledjob
            WHERE status = 'scheduled' AND priority = level.priority {_same(is_for_all=is_for_all)}
            AND (expires_at IS NULL OR expires_at > %(at)s) AND id <= %(up_to_id)s {_WANTED}
            ORDER BY {_order(is_for_all=is_for_all)} LIMIT 1
        ) AS job
        """,  # noqa: S608 - all of it is written in this package
        queue_names="text[]",
        expected="smallint",
        at="timestamptz",
        up_to_id="bigint",
        unknown_handlers="text[]",
    )


def _levels(*, is_for_all: bool) -> str:
    """Return a query for each priority that waits, of the queues in an array, or of all.

    It begins with `expected` if nothing above that waits, without making sure: to look for the
    first that waits is to pass all that were just claimed and are not vacuumed yet.
    """
    # Not MAX(), which a planner that knows little of the table would look for among all that waits.
    highest = f"""
        SELECT priority FROM django_future_scheduledjob
        WHERE status = 'scheduled' {_same(is_for_all=is_for_all)}
    """  # noqa: S608 - all of it is written in this package
    first = f"ORDER BY {_order(is_for_all=is_for_all)} LIMIT 1"
    return f"""
        level AS (
            SELECT queue_name,
                COALESCE(({highest} AND priority > %(expected)s {first}), %(expected)s) AS priority
            FROM UNNEST(%(queue_names)s::text[]) AS level (queue_name)
            UNION ALL
            SELECT queue_name, ({highest} AND priority < level.priority {first})
            FROM level WHERE level.priority IS NOT NULL
        )
    """  # noqa: S608 - all of it is written in this package


# Each query of a level names its index: by a condition on its first columns, and by an order that
# no other index has. The queue is compared as one of an array, because the planner takes what is
# equal to one value out of the order, and then other indexes have it, too.
def _order(*, is_for_all: bool) -> str:
    return f"{'' if is_for_all else 'queue_name, '}priority DESC, scheduled_at, id"


def _same(*, is_for_all: bool) -> str:
    return "" if is_for_all else "AND queue_name = ANY(ARRAY[level.queue_name])"
