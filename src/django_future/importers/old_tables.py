"""Reads the tables of other packages."""

from datetime import datetime
from typing import Any

from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from django_future import clock

Row = dict[str, Any]


class UnreadableTable(Exception):
    """A table does not exist, or its database cannot be reached."""


def read_table(
    alias: str,
    table: str,
    *,
    is_optional: bool = False,
    condition: str = "1 = 1",
    order: str = "id",
) -> list[Row]:
    """Return the rows of a table in the order of their ids, with aware datetimes.

    Only those that meet the SQL `condition`, in the order of the column `order` and then of their
    ids. An optional table that does not exist has no rows. Raises `UnreadableTable`.
    """
    connection = connections[alias]
    try:
        with connection.cursor() as cursor:
            if table not in connection.introspection.table_names(cursor):
                if is_optional:
                    return []
                raise UnreadableTable(
                    f"The database {alias!r} has no table {table!r}. If the table is in another "
                    "database, give its alias with --from."
                )
            # All columns, because older versions of the packages lack some.
            name, first, key = map(connection.ops.quote_name, (table, order, "id"))
            cursor.execute(
                f"SELECT * FROM {name} WHERE {condition} ORDER BY {first}, {key}"  # noqa: S608
            )
            columns = [column[0] for column in cursor.description]
            return [
                {
                    column: _aware(value, connection)
                    for column, value in zip(columns, values, strict=True)
                }
                for values in cursor.fetchall()
            ]
    except DatabaseError as error:
        raise UnreadableTable(
            f"The table {table!r} of the database {alias!r} cannot be read: "
            f"{' '.join(str(error).split())}"
        ) from error


def _aware(value: Any, connection: BaseDatabaseWrapper) -> Any:
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is None and connection.timezone is not None:
        return value.replace(tzinfo=connection.timezone)
    return clock.from_row(value)
