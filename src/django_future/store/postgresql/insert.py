"""Inserts new jobs on PostgreSQL: one with INSERT, many with COPY."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from operator import itemgetter
from types import NoneType
from typing import Any
from weakref import WeakKeyDictionary

from django.db import ProgrammingError
from django.db.backends.base.base import BaseDatabaseWrapper

from django_future import clock
from django_future.models import ScheduledJob
from django_future.serialization import Stored, encode
from django_future.signatures import sign
from django_future.status import Status
from django_future.store.postgresql.prepared import UNKNOWN_STATEMENT, Prepared, forget

# The columns that have the same value in each new job.
NEW_JOB_VALUES: dict[str, str | int | None] = {
    "status": Status.SCHEDULED.value, "attempts": 0, "rescues": 0, "worker": "", "lease": 0,
    "first_due_at": None, "started_at": None, "finished_at": None, "return_value": None,
    "error": "", "error_kind": "", "failure_note_id": None,
}  # fmt: skip
GIVEN_COLUMNS = [
    field.attname
    for field in ScheduledJob._meta.concrete_fields
    if field.attname not in {"id", *NEW_JOB_VALUES}
]
TABLE, COLUMNS = "django_future_scheduledjob", ", ".join([*GIVEN_COLUMNS, *NEW_JOB_VALUES])
STORED = ("args", "kwargs", "options")
INSTANTS = ("scheduled_at", "expires_at", "recurs_at", "run_after", "created_at")
TYPES = dict.fromkeys(GIVEN_COLUMNS, "text") | {
    **dict.fromkeys(INSTANTS, "timestamptz"),
    "content_type_id": "integer", "recurring_id": "bigint", "priority": "smallint",
    "max_attempts": "integer", "is_rescuable": "boolean",
}  # fmt: skip
COPIED = ("id", *GIVEN_COLUMNS)
DISTINCT = frozenset({"id", "args", "signature"})  # columns that usually differ in each row
COPY_BATCH_ROWS = 500  # rows that are formatted and sent together

# How many inserts of a connection come before the statement is prepared. Preparing takes two more
# round trips, and a web request often schedules one job on a new connection.
INSERTS_BEFORE_PREPARED = 2

_values_of = itemgetter(*COPIED)
_ESCAPED = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def insert(job: ScheduledJob, connection: BaseDatabaseWrapper, *, notify: str | None) -> None:
    """Insert a new job, and notify the channel `notify` in the same statement, unless None."""
    job.created_at = clock.to_row(clock.now())
    _sign(job)
    values = {name: _value(name, job.__dict__[name]) for name in GIVEN_COLUMNS}
    [row] = _inserted(connection, _statement(notify), values)
    job.pk = row[0]
    job._state.adding = False


def copy(jobs: Sequence[ScheduledJob], connection: BaseDatabaseWrapper) -> None:
    """Insert all of the new jobs, or none."""
    created_at = clock.to_row(clock.now())
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT NEXTVAL(PG_GET_SERIAL_SEQUENCE(%s, 'id')) FROM GENERATE_SERIES(1, %s)",
            [TABLE, len(jobs)],
        )
        for job, (pk,) in zip(jobs, cursor.fetchall(), strict=True):
            job.pk, job.created_at = pk, created_at
            _sign(job)
        statement = f"COPY {TABLE} (id, {COLUMNS}) FROM STDIN"
        with connection.wrap_database_errors, cursor.copy(statement) as lines:
            for start in range(0, len(jobs), COPY_BATCH_ROWS):
                lines.write(_lines(jobs[start : start + COPY_BATCH_ROWS]))
    for job in jobs:
        job._state.adding = False


def _sign(job: ScheduledJob) -> None:
    columns = job.__dict__
    for name in STORED:
        kind = type(columns[name])
        if kind is not Stored and kind is not NoneType:
            columns[name] = encode(columns[name], (name, job.callable_name))
    if job.is_signed:
        columns["signature"] = sign(columns)


def _inserted(
    connection: BaseDatabaseWrapper, statement: Prepared, values: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    # In a transaction of the project, an unknown statement would break the transaction.
    if not connection.get_autocommit() or not _is_worth_preparing(connection):
        return statement.rows_as_is(connection, values)
    try:
        return statement.rows_as_prepared(connection, values)
    except ProgrammingError as error:
        if getattr(error.__cause__, "sqlstate", None) != UNKNOWN_STATEMENT:
            raise
        forget(connection.connection)  # the project may have executed DISCARD ALL
        return statement.rows_as_is(connection, values)


def _is_worth_preparing(connection: BaseDatabaseWrapper) -> bool:
    session = connection.connection
    count = _inserts[session] = _inserts.get(session, 0) + 1
    return count > INSERTS_BEFORE_PREPARED


# How many rows each driver's connection has inserted.
_inserts: WeakKeyDictionary[Any, int] = WeakKeyDictionary()


@cache
def _statement(notify: str | None) -> Prepared:
    notification = f", PG_NOTIFY('{notify}', '')" if notify else ""
    placeholders = [f"%({name})s" for name in GIVEN_COLUMNS]
    constants = ["NULL" if value is None else repr(value) for value in NEW_JOB_VALUES.values()]
    return Prepared(
        f"INSERT INTO {TABLE} ({COLUMNS}) VALUES ({', '.join([*placeholders, *constants])}) "
        f"RETURNING id{notification}",
        "insert_and_notify_" if notify else "insert_",
        **TYPES,
    )


def _lines(jobs: Sequence[ScheduledJob]) -> str:
    columns = zip(*[_values_of(job.__dict__) for job in jobs], strict=True)
    texts = [_texts(name, values) for name, values in zip(COPIED, columns, strict=True)]
    constants = "\t".join(["", *map(_text, NEW_JOB_VALUES.values())])
    return "".join(["\t".join(row) + constants + "\n" for row in zip(*texts, strict=True)])


def _texts(name: str, values: Sequence[Any]) -> Iterator[str]:
    if name in DISTINCT:
        return map(_text, values)
    if name in INSTANTS:
        values = [_value(name, value) for value in values]
    # Most columns have few different values.
    texts = {value: _text(value) for value in set(values)}
    return map(texts.__getitem__, values)


def _text(value: Any) -> str:
    if value is None:
        return r"\N"
    text = str(value)
    # translate() takes several times as long as this check.
    is_plain = "\\" not in text and text.isprintable()
    return text if is_plain else text.translate(_ESCAPED)


def _value(name: str, value: Any) -> Any:
    return clock.from_row(value) if value and name in INSTANTS else value
