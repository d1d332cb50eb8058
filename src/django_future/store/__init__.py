"""All statements that read and write jobs: a class for any database, and one for each."""

from functools import cache

from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from django_future.store.base import Expired, Store
from django_future.store.mysql import MySQLStore
from django_future.store.postgresql.store import PostgreSQLStore
from django_future.store.selection import EVERYTHING, Selection, handler_of
from django_future.store.session import Session
from django_future.store.sqlite import SQLiteStore

__all__ = ["EVERYTHING", "Expired", "Selection", "Session", "Store", "handler_of", "store_for"]

_STORES: dict[str, type[Store]] = {
    "mysql": MySQLStore,
    "postgresql": PostgreSQLStore,
    "sqlite": SQLiteStore,
}


@cache
def store_for(alias: str) -> Store:
    """Return the store of the database `alias`."""
    vendor = connections[alias].vendor
    if vendor not in _STORES:
        raise ImproperlyConfigured(
            f"The database {alias!r} is {vendor}. Keep jobs in PostgreSQL, MariaDB, MySQL or "
            "SQLite."
        )
    return _STORES[vendor](alias)
