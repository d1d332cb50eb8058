"""A text that databases compare exactly, and a lookup that leaves one index to read it by."""

from typing import Any, cast

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper


class KeyField(models.CharField):  # type: ignore[type-arg]
    """A text that the database compares exactly.

    With the default collations of MySQL and MariaDB, texts are equal that differ only in case,
    accents or trailing spaces.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        """Return the type and the collation of the column."""
        parameters = super().db_parameters(connection)
        if connection.vendor == "mysql":
            is_mariadb = cast("Any", connection).mysql_is_mariadb
            parameters["collation"] = "utf8mb4_nopad_bin" if is_mariadb else "utf8mb4_0900_bin"
        return parameters


@KeyField.register_lookup
class ByIndex(models.Lookup):
    """Equality for a query that is ordered by this column and then by the id.

    It leaves PostgreSQL only the index with this order. After a plain equality, the planner drops
    the column from the order, and may then read the whole table by its primary key.
    """

    lookup_name = "by_index"

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        """Return the condition as an equality."""
        left, right, parameters = self._sides(compiler, connection)
        return f"{left} = {right}", parameters

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        """Return the condition as a comparison with an array."""
        left, right, parameters = self._sides(compiler, connection)
        return f"{left} = ANY(ARRAY[{right}]::varchar[])", parameters

    def _sides(self, compiler: Any, connection: Any) -> tuple[str, str, tuple[Any, ...]]:
        left, left_parameters = self.process_lhs(compiler, connection)
        right, right_parameters = self.process_rhs(compiler, connection)
        return left, right, (*left_parameters, *right_parameters)
