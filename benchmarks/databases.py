"""A new database for each measurement, which is dropped at the end."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from benchmarks.servers import ADDRESSES

# The options with which each server creates and drops a database.
DATABASE_OPTIONS = {"postgresql": ("", "WITH (FORCE)"), "mariadb": ("CHARACTER SET utf8mb4", "")}

_numbers = count(1)


@contextmanager
def fresh_database(name: str) -> Iterator[str]:
    """Create an empty database on the server `name`, and yield its URL."""
    with _sqlite() if name == "sqlite" else _on_server(name) as url:
        yield url


def describe_database(name: str) -> str:
    """Return the version of the server, and its settings for durable commits."""
    if name == "sqlite":
        return f"SQLite {sqlite3.sqlite_version} (WAL, synchronous=NORMAL)"
    with connected(os.environ[ADDRESSES[name]]) as cursor:
        if name == "mariadb":
            cursor.execute("SELECT VERSION(), @@innodb_flush_log_at_trx_commit")
            return "MariaDB {} (innodb_flush_log_at_trx_commit={})".format(*cursor.fetchone())
        facts = []
        for setting in ("server_version", "fsync", "synchronous_commit"):
            cursor.execute(f"SHOW {setting}")
            facts += cursor.fetchone()
    return "PostgreSQL {} (fsync={}, synchronous_commit={})".format(*facts)


@contextmanager
def connected(address: str) -> Iterator:
    """Yield a cursor that commits each statement."""
    url = urlsplit(address)
    connect = {"postgresql": _to_postgresql, "mysql": _to_mariadb, "sqlite": _to_sqlite}
    connection = connect[url.scheme](url)
    try:
        yield connection.cursor()
    finally:
        connection.close()


def _to_postgresql(url: SplitResult):
    import psycopg

    return psycopg.connect(url.geturl(), autocommit=True, connect_timeout=3)


def _to_mariadb(url: SplitResult):
    import pymysql

    return pymysql.connect(
        host=url.hostname,
        port=url.port or 3306,
        user=unquote(url.username or ""),
        password=unquote(url.password or ""),
        database=url.path.lstrip("/") or None,
        connect_timeout=3,
        autocommit=True,
    )


def _to_sqlite(url: SplitResult):
    return sqlite3.connect(url.path, isolation_level=None, timeout=30)


@contextmanager
def _on_server(server: str) -> Iterator[str]:
    address, name = os.environ[ADDRESSES[server]], _unique_name()
    create_with, drop_with = DATABASE_OPTIONS[server]
    with connected(address) as cursor:
        cursor.execute(f"CREATE DATABASE {name} {create_with}")
    try:
        yield urlsplit(address)._replace(path=f"/{name}").geturl()
    finally:
        with connected(address) as cursor:
            cursor.execute(f"DROP DATABASE {name} {drop_with}")


@contextmanager
def _sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="future-bench-") as folder:
        yield f"sqlite://{Path(folder) / 'jobs.sqlite3'}"


def _unique_name() -> str:
    return f"future_bench_{os.getpid()}_{next(_numbers)}"
