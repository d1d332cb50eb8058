"""Rows that SQLite holds and its driver refuses to read, since a text in them is not UTF-8."""

from collections.abc import Iterator
from contextlib import contextmanager
from sqlite3 import Connection
from typing import TYPE_CHECKING, Any

from django.db import OperationalError
from django.db.models import CharField, TextField

from django_future import clock, signals
from django_future.exceptions import InvalidArguments
from django_future.models import ScheduledJob
from django_future.models.fields import StoredField
from django_future.serialization import Stored
from django_future.status import Status
from django_future.store.contention import write_transaction
from django_future.text import storable

if TYPE_CHECKING:
    from django_future.store.base import Store

TEXTS = [
    field
    for field in ScheduledJob._meta.concrete_fields
    if isinstance(field, CharField | TextField)
]
AT_ONCE = 1000  # rows


def is_unreadable(error: OperationalError) -> bool:
    """Tell whether the driver cannot read a row that a statement returned."""
    return "Could not decode to UTF-8" in str(error)


def fail_unreadable(store: "Store") -> int:
    """Fail the waiting jobs that cannot be read, and return how many those are.

    In their texts each byte that is wrong is replaced by an escape for it.
    """
    # Holds the database's write lock while it reads what waits. That happens once for each time
    # that such rows are written.
    with write_transaction(store) as cursor:
        columns = ", ".join(str(field.column) for field in TEXTS)
        with texts_read_as(store.connection.connection, bytes):
            cursor.execute(
                f"SELECT id, {columns} FROM django_future_scheduledjob WHERE status = 'scheduled'"
            )
            found = dict(_unreadable(cursor))
        for pk, texts in found.items():
            _fail(store, pk, texts)
    for job in store.jobs.filter(pk__in=found):
        error = InvalidArguments(job.error)
        signals.job_finished.send_robust(ScheduledJob, job=job, exception=error)
    return len(found)


@contextmanager
def texts_read_as(session: Connection, make: Any) -> Iterator[None]:
    """Let the driver hand each text to `make`, as bytes."""
    usual, session.text_factory = session.text_factory, make
    try:
        yield
    finally:
        session.text_factory = usual


def escaped(text: bytes) -> str:
    """Return a text with an escape for each byte that is not UTF-8."""
    return text.decode(errors="backslashreplace")


def _unreadable(cursor: Any) -> Iterator[tuple[int, dict[str, str]]]:
    while rows := cursor.fetchmany(AT_ONCE):
        for pk, *values in rows:
            texts = {
                field.attname: storable(escaped(value))
                for field, value in zip(TEXTS, values, strict=True)
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


def _fail(store: "Store", pk: int, texts: dict[str, str]) -> None:
    now = clock.to_row(store.now())
    stored = {field.attname for field in TEXTS if isinstance(field, StoredField)}
    changes: dict[str, Any] = {
        name: Stored(text) if name in stored else text for name, text in texts.items()
    }
    changes["error"] = (
        f"The row of the job holds texts that are not UTF-8: {', '.join(sorted(texts))}. What is "
        "wrong in them is replaced by escapes. Schedule the job anew."
    )
    store.jobs.filter(pk=pk).update(
        **{**changes, "status": Status.FAILED, "started_at": now, "finished_at": now,
           "unique_key": None}
    )  # fmt: skip
