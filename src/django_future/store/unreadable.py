"""Rows that the driver of SQLite cannot read, because a text in them is not UTF-8."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db import OperationalError, connections
from django.db.models import CharField, TextField

from django_future import clock, signals
from django_future.exceptions import InvalidArguments
from django_future.models import ScheduledJob
from django_future.models.fields import StoredField
from django_future.serialization import Stored
from django_future.status import Status
from django_future.store import statistics
from django_future.store.contention import write_transaction
from django_future.text import storable

if TYPE_CHECKING:
    from sqlite3 import Connection  # its library needs a megabyte, also with other databases

    from django_future.store.base import Store

TEXT_FIELDS = [
    field
    for field in ScheduledJob._meta.concrete_fields
    if isinstance(field, CharField | TextField)
]
FETCH_SIZE = 1000  # rows
UNREADABLE = "Unreadable"  # the kind of error of a job whose row cannot be read


def is_unreadable(error: OperationalError) -> bool:
    """Return whether `error` means that the driver cannot read a returned row."""
    return "Could not decode to UTF-8" in str(error)


def fail_unreadable(store: "Store") -> int:
    """Fail the waiting jobs that are unreadable, and return how many they are.

    In their texts, an escape replaces each byte that is not UTF-8.
    """
    # Holds the database's write lock while it reads all waiting jobs. This is rare: it happens once
    # after such rows have been written. The failed jobs are read before the commit, because no
    # later call would find those that are not announced.
    with write_transaction(store) as cursor:
        columns = ", ".join(str(field.column) for field in TEXT_FIELDS)
        with texts_read_as(store.connection.connection, bytes):
            cursor.execute(
                f"SELECT id, {columns} FROM django_future_scheduledjob WHERE status = 'scheduled'"
            )
            texts_by_id = dict(_unreadable(cursor))
        failed = [_fail(store, pk, texts) for pk, texts in texts_by_id.items()]
    statistics.count(failed, store.alias)
    for job in failed:
        error = InvalidArguments(job.error)
        signals.job_finished.send_robust(ScheduledJob, job=job, exception=error)
    return len(failed)


@contextmanager
def texts_read_as(session: "Connection", convert: Any) -> Iterator[None]:
    """Make the driver convert the bytes of each text with `convert`."""
    original, session.text_factory = session.text_factory, convert
    try:
        yield
    finally:
        session.text_factory = original


@contextmanager
def escaped_texts(alias: str) -> Iterator[bool]:
    """Escape text that is not UTF-8, which only SQLite can store; yield whether that is active."""
    connection = connections[alias]
    if connection.vendor != "sqlite":
        yield False
        return
    connection.ensure_connection()
    with texts_read_as(connection.connection, escaped):
        yield True


def escaped(text: bytes) -> str:
    """Return bytes as text, with an escape for each byte that is not UTF-8."""
    return text.decode(errors="backslashreplace")


def _unreadable(cursor: Any) -> Iterator[tuple[int, dict[str, str]]]:
    while rows := cursor.fetchmany(FETCH_SIZE):
        for pk, *values in rows:
            texts = {
                field.attname: storable(escaped(value))
                for field, value in zip(TEXT_FIELDS, values, strict=True)
                if isinstance(value, bytes) and not _is_utf8(value)
            }
            if texts:
                yield pk, texts


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _fail(store: "Store", pk: int, texts: dict[str, str]) -> ScheduledJob:
    now = clock.to_row(store.now())
    stored = {field.attname for field in TEXT_FIELDS if isinstance(field, StoredField)}
    changes: dict[str, Any] = {
        name: Stored(text) if name in stored else text for name, text in texts.items()
    }
    changes["error"] = (
        f"The row of the job holds texts that are not UTF-8: {', '.join(sorted(texts))}. Escapes "
        "now replace the wrong bytes. Schedule the job again."
    )
    store.jobs.filter(pk=pk).update(
        **{**changes, "status": Status.FAILED, "started_at": now, "finished_at": now,
           "error_kind": UNREADABLE, "unique_key": None}
    )  # fmt: skip
    return store.jobs.get(pk=pk)
