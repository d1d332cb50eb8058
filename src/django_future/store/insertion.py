"""New rows on PostgreSQL: one by INSERT, many by COPY."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from django_future import clock
from django_future.arguments import Stored, encode
from django_future.models import ScheduledJob

NAMES = [field.attname for field in ScheduledJob._meta.concrete_fields if field.attname != "id"]
TABLE, COLUMNS = "django_future_scheduledjob", ", ".join(NAMES)
# What is the same for each new job.
BLANK = {
    "status": "'scheduled'", "attempts": "0", "rescues": "0", "worker": "''", "lease": "0",
    "started_at": "NULL", "finished_at": "NULL", "return_value": "NULL", "error": "''",
}  # fmt: skip
GIVEN = [name for name in NAMES if name not in BLANK]
PLACES = ", ".join(BLANK.get(name, "%s") for name in NAMES)
AT_ONCE = 500  # rows that are put into words before any of them is sent

_ESCAPED = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def insert(job: ScheduledJob, connection: BaseDatabaseWrapper, *, notify: str | None) -> None:
    """Insert a new job, and notify the channel `notify` in the same statement."""
    hint = f", PG_NOTIFY('{notify}', '')" if notify else ""
    job.created_at = clock.to_row(clock.now())
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {TABLE} ({COLUMNS}) VALUES ({PLACES}) RETURNING id{hint}",  # noqa: S608 - all of it is written in this package
            [_value(job, name) for name in GIVEN],
        )
        job.pk = cursor.fetchone()[0]
    job._state.adding = False


def copy(jobs: Sequence[ScheduledJob], connection: BaseDatabaseWrapper) -> None:
    """Insert new jobs, all or none of them."""
    created_at = clock.to_row(clock.now())
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT NEXTVAL(PG_GET_SERIAL_SEQUENCE(%s, 'id')) FROM GENERATE_SERIES(1, %s)",
            [TABLE, len(jobs)],
        )
        for job, (pk,) in zip(jobs, cursor.fetchall(), strict=True):
            job.pk, job.created_at = pk, created_at
        statement = f"COPY {TABLE} (id, {COLUMNS}) FROM STDIN"
        with connection.wrap_database_errors, cursor.copy(statement) as lines:
            for start in range(0, len(jobs), AT_ONCE):
                lines.write(_lines(jobs[start : start + AT_ONCE]))
    for job in jobs:
        job._state.adding = False


def _lines(jobs: Sequence[ScheduledJob]) -> str:
    columns = [_column(name, jobs) for name in ("id", *NAMES)]
    return "".join(map("{}\n".format, map("\t".join, zip(*columns, strict=True))))


def _column(name: str, jobs: Sequence[ScheduledJob]) -> Iterator[str]:
    values = [_value(job, name) for job in jobs]
    # Most columns hold the same few values in each row.
    texts = {value: _text(value) for value in set(values)}
    return map(texts.__getitem__, values)


def _text(value: Any) -> str:
    return r"\N" if value is None else str(value).translate(_ESCAPED)


def _value(job: ScheduledJob, name: str) -> Any:
    value = job.__dict__[name]
    if isinstance(value, datetime):
        return clock.from_row(value)
    if name in {"args", "kwargs"} and type(value) is not Stored:
        return encode(value)
    return value
