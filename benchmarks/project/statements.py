"""Records the statements that a process sends to its databases."""

import atexit
import time
from pathlib import Path

from django.db.backends.signals import connection_created

_sent: list[tuple[float, str]] = []


def record_statements(path: str) -> None:
    """Record each statement and its time, and write them to `path` when the process ends."""
    connection_created.connect(_watch)
    atexit.register(_write, Path(path))


def read_statements(path: Path) -> list[tuple[float, str]]:
    """Return the time and the beginning of each statement."""
    lines = (line.partition(" ") for line in path.read_text().splitlines())
    return [(float(at), sql) for at, _, sql in lines]


def _watch(*, connection, **_):
    connection.execute_wrappers.append(_record)


def _record(execute, sql, *rest):
    _sent.append((time.time(), sql))
    return execute(sql, *rest)


def _write(path):
    path.write_text("".join(f"{at!r} {' '.join(sql.split())[:100]}\n" for at, sql in _sent))
