"""A rival connection that writes at the worst moment."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

from django.db import OperationalError, connection


@contextmanager
def rival_writes_after_first_read(table: str) -> Iterator[None]:
    """Let another connection write, once, after the first read of `table` in a transaction.

    The rival gives up at once if the transaction has the write lock of SQLite.
    """
    is_done = False

    def write() -> None:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 0")
            with suppress(OperationalError):
                cursor.execute("UPDATE django_content_type SET model = model")  # has rows always
        connection.close()

    def interrupted(execute, sql, params, many, context):
        nonlocal is_done
        result = execute(sql, params, many, context)
        is_read = sql.lstrip().startswith("SELECT") and table in sql
        if is_read and connection.in_atomic_block and not is_done:
            is_done = True
            with ThreadPoolExecutor(1) as pool:
                pool.submit(write).result()
        return result

    with connection.execute_wrapper(interrupted):
        yield
