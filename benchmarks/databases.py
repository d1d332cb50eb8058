"""A database of its own for each measurement, dropped at its end."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

POSTGRESQL = os.environ.get("BENCH_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
MARIADB = os.environ.get("BENCH_MARIADB_URL", "mysql://root@127.0.0.1:3306/")
NAMES = ("postgresql", "sqlite", "mariadb")


@contextmanager
def fresh_database(name: str) -> Iterator[str]:
    """Create an empty database on the server `name`, and yield its address."""
    create = {"postgresql": _postgresql, "sqlite": _sqlite, "mariadb": _mariadb}[name]
    with create() as url:
        yield url


def describe_database(name: str) -> str:
    """Return the server's version, and how safely it commits."""
    if name == "sqlite":
        return f"SQLite {sqlite3.sqlite_version} (WAL, synchronous=NORMAL)"
    if name == "mariadb":
        with _mariadb_cursor() as cursor:
            cursor.execute("SELECT VERSION(), @@innodb_flush_log_at_trx_commit")
            version, flush = cursor.fetchone()
        return f"MariaDB {version} (innodb_flush_log_at_trx_commit={flush})"
    with _postgresql_connection() as connection:
        facts = [
            connection.execute(f"SHOW {setting}").fetchone()[0]
            for setting in ("server_version", "fsync", "synchronous_commit")
        ]
    return "PostgreSQL {} (fsync={}, synchronous_commit={})".format(*facts)


@contextmanager
def _postgresql() -> Iterator[str]:
    name = _own_name()
    with _postgresql_connection() as connection:
        connection.execute(f"CREATE DATABASE {name}")
    try:
        yield urlsplit(POSTGRESQL)._replace(path=f"/{name}").geturl()
    finally:
        with _postgresql_connection() as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def _mariadb() -> Iterator[str]:
    name = _own_name()
    with _mariadb_cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    try:
        yield urlsplit(MARIADB)._replace(path=f"/{name}").geturl()
    finally:
        with _mariadb_cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name}")


@contextmanager
def _sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="future-bench-") as folder:
        yield f"sqlite://{Path(folder) / 'jobs.sqlite3'}"


def _own_name() -> str:
    return f"future_bench_{os.getpid()}"


def _postgresql_connection():
    import psycopg

    return psycopg.connect(POSTGRESQL, autocommit=True, connect_timeout=3)


@contextmanager
def _mariadb_cursor():
    import pymysql

    url = urlsplit(MARIADB)
    connection = pymysql.connect(
        host=url.hostname,
        port=url.port or 3306,
        user=unquote(url.username or ""),
        password=unquote(url.password or ""),
        connect_timeout=3,
    )
    with connection, connection.cursor() as cursor:
        yield cursor
