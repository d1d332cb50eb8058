"""New rows on PostgreSQL: one by INSERT, many by COPY."""

from collections.abc import Iterator, Sequence
from types import NoneType
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from django_future import clock
from django_future.arguments import Stored, encode
from django_future.models import ScheduledJob
from django_future.signatures import sign
from django_future.status import Status

# What is the same for each new job.
BLANK: dict[str, str | int | None] = {
    "status": Status.SCHEDULED.value, "attempts": 0, "rescues": 0, "worker": "", "lease": 0,
    "first_due_at": None, "started_at": None, "finished_at": None, "return_value": None,
    "error": "",
}  # fmt: skip
GIVEN = [
    field.attname
    for field in ScheduledJob._meta.concrete_fields
    if field.attname not in {"id", *BLANK}
]
TABLE, COLUMNS = "django_future_scheduledjob", ", ".join([*GIVEN, *BLANK])
PLACES = ", ".join(
    ["%s"] * len(GIVEN) + ["NULL" if value is None else repr(value) for value in BLANK.values()]
)
STORED = ("args", "kwargs", "options")
AT_ONCE = 500  # rows that are put into words before any of them is sent

_ESCAPED = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def insert(job: ScheduledJob, connection: BaseDatabaseWrapper, *, notify: str | None) -> None:
    """Insert a new job, and notify the channel `notify` in the same statement."""
    hint = f", PG_NOTIFY('{notify}', '')" if notify else ""
    job.created_at = clock.to_row(clock.now())
    _sign(job)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {TABLE} ({COLUMNS}) VALUES ({PLACES}) RETURNING id{hint}",  # noqa: S608 - all of it is written in this package
            [value for name in GIVEN for value in _values(name, [job])],
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
            _sign(job)
        statement = f"COPY {TABLE} (id, {COLUMNS}) FROM STDIN"
        with connection.wrap_database_errors, cursor.copy(statement) as lines:
            for start in range(0, len(jobs), AT_ONCE):
                lines.write(_lines(jobs[start : start + AT_ONCE]))
    for job in jobs:
        job._state.adding = False


def _sign(job: ScheduledJob) -> None:
    columns = job.__dict__
    for name in STORED:
        if type(columns[name]) not in {Stored, NoneType}:
            columns[name] = encode(columns[name], (name, job.callable_name))
    if job.is_signed:
        columns["signature"] = sign(columns)


def _lines(jobs: Sequence[ScheduledJob]) -> str:
    columns = [_texts(_values(name, jobs)) for name in ("id", *GIVEN)]
    blank = list(map(_text, BLANK.values()))
    return "".join(["\t".join([*row, *blank]) + "\n" for row in zip(*columns, strict=True)])


def _texts(values: Sequence[Any]) -> Iterator[str]:
    # Most columns hold the same few values in each row.
    texts = {value: _text(value) for value in set(values)}
    return map(texts.__getitem__, values)


def _text(value: Any) -> str:
    return r"\N" if value is None else str(value).translate(_ESCAPED)


def _values(name: str, jobs: Sequence[ScheduledJob]) -> list[Any]:
    values = [job.__dict__[name] for job in jobs]
    if name in {"scheduled_at", "expires_at", "created_at"}:
        return [value and clock.from_row(value) for value in values]
    return values
