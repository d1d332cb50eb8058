"""Empties the tables after a test that commits, in much less time than Django needs for it.

Django truncates all tables, which PostgreSQL and MariaDB do by creating files, and then inserts the
content types and permissions again.
"""

from collections import Counter
from typing import Any

from django.db import connections, transaction
from django.test import TransactionTestCase

# Django inserts these rows after each migration. Tests that change them get Django's flush.
CONSTANT = {
    "django_content_type": "app_label, model",
    "auth_permission": "content_type_id, codename",
}
# Deleted rows stay in the indexes for a while, and some tests count the entries that are read.
MAX_DELETED = 100

_constants: dict[str, Any] = {}
_deleted: dict[str, Counter[str]] = {}


def use_fast_flush() -> None:
    """Let tests that commit empty only the tables that have rows."""
    teardown: Any = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]

    def fast_teardown(case: TransactionTestCase) -> None:
        aliases = case._databases_names(include_mirrors=False)  # type: ignore[attr-defined]
        is_special = case.available_apps is not None or case.serialized_rollback
        if is_special or not all(_flush(alias) for alias in aliases):
            teardown(case)
            _constants.clear()

    TransactionTestCase._fixture_teardown = fast_teardown  # type: ignore[attr-defined]


def _flush(alias: str) -> bool:
    """Empty the tables of a database, and return whether its constant rows are unchanged."""
    connection: Any = connections[alias]
    tables = sorted(set(connection.introspection.django_table_names(only_existing=True)))
    constants = {name: columns for name, columns in CONSTANT.items() if name in tables}
    with transaction.atomic(using=alias), connection.cursor() as cursor:
        rows = {name: _rows(cursor, name, columns) for name, columns in constants.items()}
        if _constants.setdefault(alias, rows) != rows:
            return False
        others = [connection.ops.quote_name(name) for name in tables if name not in constants]
        exist = ", ".join(f"EXISTS (SELECT 1 FROM {name})" for name in others)
        cursor.execute(f"SELECT {exist}")
        filled = [name for name, is_filled in zip(others, cursor.fetchone(), strict=True)
                  if is_filled]  # fmt: skip
        _empty(connection, cursor, alias, filled)
    return True


def _rows(cursor: Any, name: str, columns: str) -> list[Any]:
    cursor.execute(f"SELECT id, {columns} FROM {name} ORDER BY id")
    return list(cursor.fetchall())


def _empty(connection: Any, cursor: Any, alias: str, names: list[str]) -> None:
    deleted = _deleted.setdefault(alias, Counter())
    is_mysql = connection.vendor == "mysql"
    if is_mysql:
        cursor.execute("SET FOREIGN_KEY_CHECKS = 0")
    for name in names:
        cursor.execute(f"DELETE FROM {name}")
        deleted[name] += cursor.rowcount
    if connection.vendor == "postgresql":
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # a later TRUNCATE refuses pending checks
    for name in [name for name, number in deleted.items() if number > MAX_DELETED]:
        if connection.vendor != "sqlite":
            cursor.execute(f"TRUNCATE {name}" + ("" if is_mysql else " CASCADE"))
        del deleted[name]
    if is_mysql:
        cursor.execute("SET FOREIGN_KEY_CHECKS = 1")
