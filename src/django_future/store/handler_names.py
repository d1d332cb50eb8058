"""The names of the handlers of all jobs, waiting and ended."""

from django_future.store.backlog import rows_by_index
from django_future.store.base import JOBS, Store

MAX_NAMES = 1000


def handler_names(store: Store) -> list[str]:
    """Return the names in alphabetical order, without those after the first thousand."""
    # A loose index scan: each step skips the jobs of one name, and reads the next name.
    jobs = f"{JOBS} {store.index_hint.format('future_job_handler')}"
    sql = f"""
        WITH RECURSIVE found(name) AS (
            SELECT MIN(callable_name) FROM {jobs}
            UNION ALL
            SELECT (SELECT MIN(callable_name) FROM {jobs} WHERE callable_name > found.name)
            FROM found WHERE found.name IS NOT NULL
        )
        SELECT name FROM found WHERE name IS NOT NULL LIMIT {MAX_NAMES}
    """
    return [name for (name,) in rows_by_index(store, sql)]
