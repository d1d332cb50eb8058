"""Reads the table of django-q, and of its successor django-q2."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone

from django_future.importers.entry import Entry, NotCarriedOver
from django_future.importers.instants import once, shown
from django_future.importers.old_tables import Row, read_table
from django_future.recurrence.timing import zone_of

_NAMES = {
    "O": "once", "I": "minutes", "H": "hourly", "D": "daily", "W": "weekly", "BW": "biweekly",
    "M": "monthly", "BM": "bimonthly", "Q": "quarterly", "Y": "yearly", "C": "cron",
}  # fmt: skip
_INTERVALS = {"H": timedelta(hours=1), "BW": timedelta(weeks=2)}
_MONTHS_BETWEEN = {"M": 1, "BM": 2, "Q": 3, "Y": 12}
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# The days of each month, and those of February that it has each year.
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
# async_task() takes these out of the keyword arguments.
_OPTIONS = frozenset({
    "q_options", "task_name", "hook", "group", "save", "sync", "cached", "ack_failure",
    "iter_count", "iter_cached", "chain", "broker", "cluster", "timeout",
})  # fmt: skip
_UNREADABLE = (SyntaxError, ValueError, TypeError, MemoryError, RecursionError)


def read_entries(alias: str) -> Iterator[Entry]:
    """Yield what becomes of each schedule of the database `alias`.

    A schedule whose name is empty, or not its own, gets a name with its id. Raises
    `UnreadableTable`.
    """
    schedules = read_table(alias, "django_q_schedule")
    names = Counter(schedule.get("name") or "" for schedule in schedules)
    return (_entry(schedule, names) for schedule in schedules)


def _entry(schedule: Row, names: Counter[str]) -> Entry:
    name = schedule.get("name") or ""
    if not name or names[name] > 1:
        name = f"{name or schedule['func']} {schedule['id']}"
    entry = Entry(name)
    with entry.translation():
        entry.old = ", ".join(_descriptions(schedule))
        kwargs = _kwargs(schedule)
        options = sorted(_OPTIONS & kwargs.keys())
        entry.arguments = {
            "callable": schedule["func"],
            "args": _args(schedule),
            "kwargs": {key: value for key, value in kwargs.items() if key not in _OPTIONS},
            **_times(schedule),
        }
        if schedule.get("cluster"):
            entry.arguments["queue_name"] = schedule["cluster"]
        entry.notes = list(_notes(schedule, options))
    return entry


def _descriptions(schedule: Row) -> Iterator[str]:
    kind = schedule["schedule_type"]
    yield _NAMES.get(kind, repr(kind))
    if kind == "I":
        yield str(schedule["minutes"] or 1)
    if kind == "C":
        yield str(schedule["cron"])
    if schedule["next_run"] is not None:
        yield f"next run {shown(schedule['next_run'])}"
    if schedule["repeats"] >= 0:
        yield f"repeats {schedule['repeats']}"


def _times(schedule: Row) -> dict[str, Any]:
    kind, next_at = schedule["schedule_type"], schedule["next_run"]
    _check_is_left(schedule)
    if kind == "O":
        return once(next_at)
    times = {} if schedule["repeats"] < 0 else {"max_runs": schedule["repeats"]}
    if kind == "I" or kind in _INTERVALS:
        every = _INTERVALS.get(kind) or timedelta(minutes=schedule["minutes"] or 1)
        return times | {"every": every, "starts_at": next_at}
    zone = _zone()
    local = next_at.astimezone(zone)
    cron = _with_either_day(schedule["cron"]) if kind == "C" else _cron(kind, local)
    # The first run is that of the whole minute.
    starts_at = next_at.replace(second=0, microsecond=0)
    return times | {"cron": cron, "timezone": zone.key, "starts_at": starts_at}


def _check_is_left(schedule: Row) -> None:
    if schedule["repeats"] == 0:
        raise NotCarriedOver("Its repeats are 0, so django-q does not run it any more.")
    if schedule["next_run"] is None:
        raise NotCarriedOver("It has no next run, so django-q does not run it. Give it one.")
    if argument := schedule.get("intended_date_kwarg"):
        raise NotCarriedOver(
            f"django-q passes the date of the run as {argument!r}. Let the handler take the job "
            "(@job_as_parameter) and read job.recurs_at. Then empty intended_date_kwarg."
        )


def _zone() -> ZoneInfo:
    own: str | None = getattr(settings, "Q_CLUSTER", {}).get("time_zone")
    return zone_of(own or timezone.get_default_timezone_name())


def _cron(kind: str, local: datetime) -> str:
    """Return the expression of a schedule that runs at the same local time each day, week etc."""
    time = f"{local.minute} {local.hour}"
    if kind == "D":
        return f"{time} * * *"
    if kind == "W":
        return f"{time} * * {_WEEKDAYS[local.weekday()]}"
    if kind not in _MONTHS_BETWEEN:
        raise NotCarriedOver(f"Its type is {kind!r}. Give one of {', '.join(_NAMES)}.")
    step = _MONTHS_BETWEEN[kind]
    months = range((local.month - 1) % step + 1, 13, step)
    if local.day > min(_DAYS[month - 1] for month in months):
        raise NotCarriedOver(
            f"It runs on day {local.day}, which not each of its months has. There, django-q runs "
            "it on the last day, and later on that day of each month. Give it a cron expression, "
            f"such as '{time} L * *' for the last day of each month."
        )
    listed = "*" if step == 1 else ",".join(map(str, months))
    return f"{time} {local.day} {listed} *"


def _with_either_day(cron: str | None) -> str:
    """Return an expression that matches if either day matches, as croniter understands it.

    Here, a field that begins with a star restricts the other one.
    """
    fields = ["*" if field == "?" else field for field in (cron or "").split()]
    if not fields:
        raise NotCarriedOver("It has no cron expression. Give it one.")
    if len(fields) == 5 and "*" not in (fields[2], fields[4]):  # noqa: PLR2004
        fields[2] = re.sub(r"^\*/", "1-31/", fields[2])
        fields[4] = re.sub(r"^\*/", "0-6/", fields[4])
    return " ".join(fields)


def _args(schedule: Row) -> tuple[Any, ...]:
    text = schedule["args"]
    if not text:
        return ()
    try:
        value = ast.literal_eval(text)
    except _UNREADABLE as error:
        raise _unreadable("args", "1, 2, 'John'", error) from error
    return value if isinstance(value, tuple) else (value,)


def _kwargs(schedule: Row) -> dict[str, Any]:
    """Return the keyword arguments of a text such as "{'x': 1}" or "x=1"."""
    text = schedule["kwargs"]
    if not text:
        return {}
    try:
        value = ast.literal_eval(text)
    except _UNREADABLE:
        value = _keywords(text)
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise _unreadable("kwargs", "x=1, name='John'", "it is not a dictionary with names")
    return value


def _keywords(text: str) -> dict[str | None, Any]:
    try:
        call = ast.parse(f"f({text})", mode="eval").body
        if not isinstance(call, ast.Call) or call.args or not isinstance(call.func, ast.Name):
            raise ValueError("it is not a list of keywords")
        return {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    except _UNREADABLE as error:
        raise _unreadable("kwargs", "x=1, name='John'", error) from error


def _unreadable(column: str, example: str, why: object) -> NotCarriedOver:
    return NotCarriedOver(
        f"{column} cannot be read: {why}. Give literals of Python, such as {example}."
    )


def _notes(schedule: Row, options: list[str]) -> Iterator[str]:
    if schedule.get("hook"):
        yield (
            f"Its hook {schedule['hook']} is not carried over. Call it at the end of the handler, "
            "or receive the signal job_finished."
        )
    if options:
        yield f"Its options {', '.join(options)} are not carried over. See those of @job."
    kind, next_at = schedule["schedule_type"], schedule["next_run"]
    if kind == "BW":
        yield (
            "It runs every 14 days of elapsed time. When the clocks change, its local time "
            "changes by an hour."
        )
    elif kind not in {"O", "I", "H", "C"} and (next_at.second or next_at.microsecond):
        yield "It runs at the whole minute, without the seconds of its next run."
