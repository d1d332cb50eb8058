"""The statements that a process sends to its databases, noted where they leave it."""

import atexit
import time
from pathlib import Path

from django.db.backends.signals import connection_created

_noted: list[tuple[float, str]] = []


def note_statements(path: str) -> None:
    """Note when each statement is sent, and write all of it to `path` at the end."""
    connection_created.connect(_watch)
    atexit.register(_write, Path(path))


def noted_statements(path: Path) -> list[tuple[float, str]]:
    """Return the instant and the beginning of each statement."""
    lines = (line.partition(" ") for line in path.read_text().splitlines())
    return [(float(at), sql) for at, _, sql in lines]


def _watch(*, connection, **_):
    connection.execute_wrappers.append(_note)


def _note(execute, sql, *rest):
    _noted.append((time.time(), sql))
    return execute(sql, *rest)


def _write(path):
    path.write_text("".join(f"{at!r} {' '.join(sql.split())[:100]}\n" for at, sql in _noted))
