"""Reads the tables of django-celery-beat."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from django_future import clock
from django_future.importers.celery_crontab import cron_of
from django_future.importers.entry import Entry, NotCarriedOver
from django_future.importers.instants import once, shown
from django_future.importers.old_tables import Row, read_table

DISABLED = "disabled in django-celery-beat"
CLEANUP = "celery.backend_cleanup"  # a task that beat adds by itself

_SCHEDULES = {
    "interval": "intervalschedule",
    "crontab": "crontabschedule",
    "solar": "solarschedule",
    "clocked": "clockedschedule",
}
_TICK = timedelta(microseconds=1)
_CRON_COLUMNS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
_LOST_COLUMNS = ("exchange", "routing_key", "headers", "description")
_EMPTY = (None, "", "{}", "null")


def read_entries(alias: str) -> Iterator[Entry]:
    """Yield what becomes of each periodic task of the database `alias`.

    Raises `UnreadableTable`.
    """
    tasks = read_table(alias, "django_celery_beat_periodictask")
    schedules = {
        kind: {row["id"]: row for row in _read_schedules(alias, table)}
        for kind, table in _SCHEDULES.items()
    }
    return (_entry(task, schedules) for task in tasks)


def _read_schedules(alias: str, table: str) -> list[Row]:
    # The first versions had only intervals and crontabs.
    return read_table(alias, f"django_celery_beat_{table}", is_optional=True)


def _entry(task: Row, schedules: Mapping[str, Mapping[int, Row]]) -> Entry:
    entry = Entry(task["name"])
    with entry.translation():
        kind, schedule = _schedule(task, schedules)
        entry.old = ", ".join(_descriptions(task, kind, schedule))
        if task["task"] == CLEANUP:
            raise NotCarriedOver(
                "It deletes old results of Celery. For those of jobs, set "
                "DJANGO_FUTURE['RETENTION']."
            )
        entry.arguments = {
            "callable": task["task"],
            "args": _decoded(task, "args", list),
            "kwargs": _decoded(task, "kwargs", dict),
            **_times(task, kind, schedule),
            **_options(task),
        }
        entry.paused_reason = "" if task["enabled"] else DISABLED
        entry.notes = list(_notes(task, kind))
    return entry


def _schedule(task: Row, schedules: Mapping[str, Mapping[int, Row]]) -> tuple[str, Row]:
    """Return the kind of the schedule of a task, and its row. Beat takes the first one, too."""
    for kind, rows in schedules.items():
        row = rows.get(task.get(f"{kind}_id", 0))
        if row is not None:
            return kind, row
    return "", {}


def _descriptions(task: Row, kind: str, schedule: Row) -> Iterator[str]:
    if kind == "interval":
        yield f"every {schedule['every']} {schedule['period']}"
    elif kind == "crontab":
        fields = " ".join(str(schedule[column]) for column in _CRON_COLUMNS)
        yield f"crontab {fields}, {_zone(schedule)}"
    elif kind == "solar":
        yield f"{schedule['event']} at {schedule['latitude']}, {schedule['longitude']}"
    elif kind == "clocked":
        yield f"clocked {shown(schedule['clocked_time'])}"
    else:
        yield "no schedule"
    if task.get("one_off"):
        yield "one-off"
    if not task["enabled"]:
        yield "disabled"


def _zone(crontab: Row) -> str:
    zone = crontab.get("timezone") or getattr(settings, "CELERY_TIMEZONE", None) or "UTC"
    return str(zone)


def _times(task: Row, kind: str, schedule: Row) -> dict[str, Any]:
    if not kind:
        raise NotCarriedOver("It has no schedule. Give it one.")
    if kind == "solar":
        raise NotCarriedOver(
            "A recurring job cannot follow the sun. Let a handler that runs every day compute the "
            "time, and schedule a job for it."
        )
    expires_at: datetime | None = task.get("expires")
    if expires_at is not None and expires_at <= clock.now():
        raise NotCarriedOver(f"It expired at {shown(expires_at)}, so Celery does not run it.")
    if kind == "clocked":
        _check_has_not_run(task, is_clocked=True)
        return _clocked_time(task, schedule, expires_at)
    # Beat does not run a task at the time at which it expires. The end of a recurring job is
    # inclusive.
    times: dict[str, Any] = {"ends_at": expires_at and expires_at - _TICK}
    if task.get("one_off"):
        _check_has_not_run(task)
        times["max_runs"] = 1
    if kind == "crontab":
        cron, zone = cron_of(schedule), _zone(schedule)
        return times | {"cron": cron, "timezone": zone, "starts_at": task.get("start_time")}
    every = timedelta(**{schedule["period"]: schedule["every"]})
    return times | {"every": every, "starts_at": _first_run_at(task, every)}


def _check_has_not_run(task: Row, *, is_clocked: bool = False) -> None:
    if task["total_run_count"]:
        raise NotCarriedOver("It is a one-off task, and it has run.")
    if not task["enabled"] and not is_clocked:
        raise NotCarriedOver(
            "It is a one-off task, and disabled, as Celery disables it after its run. If it has "
            "not run, enable it first."
        )


def _clocked_time(task: Row, schedule: Row, expires_at: datetime | None) -> dict[str, Any]:
    clocked_at: datetime = schedule["clocked_time"]
    at = max(clocked_at, task.get("start_time") or clocked_at)
    if expires_at is not None and expires_at <= at:
        raise NotCarriedOver(
            f"It expires at {shown(expires_at)}, before its time. Celery never runs it."
        )
    return once(at)


def _first_run_at(task: Row, every: timedelta) -> datetime | None:
    """Return when an interval is due next, as beat computes it."""
    starts_at: datetime | None = task.get("start_time")
    since: datetime | None = task["last_run_at"]
    if since is None:
        if starts_at is not None:
            return starts_at
        since = task["date_changed"]
    due_at = since and since + every
    return max(due_at, starts_at) if due_at and starts_at else due_at


def _decoded(task: Row, column: str, kind: type[list[Any] | dict[str, Any]]) -> Any:
    try:
        value = json.loads(task[column] or json.dumps(kind()), object_hook=_checked_object)
    except (ValueError, RecursionError) as error:
        raise NotCarriedOver(f"{column} is not JSON: {error}. Correct it.") from error
    if not isinstance(value, kind):
        expected = "a list" if kind is list else "an object"
        raise NotCarriedOver(f"{column} is JSON, but not {expected}. Correct it.")
    return value


def _checked_object(value: dict[str, Any]) -> dict[str, Any]:
    if "__type__" in value:
        raise NotCarriedOver(
            f"An argument is a {value['__type__']} in the JSON of Celery. Pass it as a text, and "
            "convert it in the handler."
        )
    return value


def _options(task: Row) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if task.get("queue"):
        options["queue_name"] = task["queue"]
    if task.get("expire_seconds"):
        options["expires"] = timedelta(seconds=task["expire_seconds"])
    return options


def _notes(task: Row, kind: str) -> Iterator[str]:
    if task.get("priority") is not None:
        yield (
            f"Its priority {task['priority']} is not carried over, because the broker decides "
            "whether a high or a low number runs first. Set the priority of the recurring job: "
            "the highest runs first."
        )
    if lost := [column for column in _LOST_COLUMNS if task.get(column) not in _EMPTY]:
        yield f"A recurring job has no {', '.join(lost)}, so that is not carried over."
    if kind == "crontab" and not getattr(settings, "DJANGO_CELERY_BEAT_TZ_AWARE", True):
        yield (
            "The setting DJANGO_CELERY_BEAT_TZ_AWARE is False, so Celery ignored the time zone of "
            "its crontab. Check the time zone of the recurring job."
        )
