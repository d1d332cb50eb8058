"""`manage.py future_import`: turn the schedules or tasks of another package into our rows."""

from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from django_future.databases import jobs_database
from django_future.importers import celery_beat, django_q, tasks_db
from django_future.importers.carrying import Outcome, carry_over
from django_future.importers.entry import Entry
from django_future.importers.old_tables import UnreadableTable
from django_future.management.tables import check_tables
from django_future.plural import agreeing, counted


class _Package(NamedTuple):
    name: str
    read_entries: Callable[[str], Iterator[Entry]]
    to_stop: str
    moves_tasks: bool = False


PACKAGES = {
    "celery-beat": _Package("django-celery-beat", celery_beat.read_entries, "celery beat"),
    "django-q": _Package("django-q", django_q.read_entries, "the schedulers of django-q"),
    "django-tasks-db": _Package(
        "django-tasks-db", tasks_db.read_entries, "db_worker", moves_tasks=True
    ),
}


class Command(BaseCommand):
    """Turn the schedules of another package into recurring jobs, or its tasks into jobs."""

    help = (
        "Turns the schedules in the tables of another package into recurring jobs. The package "
        "need not be installed. A second run only writes what has changed in its tables. For "
        "django-tasks-db, moves the tasks that wait. If they are in the database of the jobs, "
        "each one moves in one transaction. Otherwise a task can be in both databases if the "
        "command is interrupted."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument
        add("package", choices=PACKAGES, help="The package whose tables are read.")
        add("--dry-run", action="store_true", help="Only print what would be written.")
        add(
            "--database",
            choices=tuple(connections),
            help="Write recurring jobs to this database alias.",
        )
        add(
            "--from",
            dest="source",
            choices=tuple(connections),
            help="Read the tables of the package from this database alias, by default the same.",
        )

    def handle(
        self,
        *_: Any,
        package: str,
        dry_run: bool,
        database: str | None,
        source: str | None,
        **__: Any,
    ) -> None:
        """Print each schedule and its recurring job, and write the recurring jobs."""
        alias, old = jobs_database(database), PACKAGES[package]
        for destination in _destinations(old, alias):
            check_tables(destination)
        try:
            entries = list(old.read_entries(source or alias))
        except UnreadableTable as error:
            raise CommandError(str(error)) from error
        carry = (
            partial(tasks_db.carry_over, source=source or alias, database=database)
            if old.moves_tasks
            else partial(carry_over, alias=alias)
        )
        outcomes = [carry(entry, is_dry_run=dry_run) for entry in entries]
        summary = _summary_of_tasks if old.moves_tasks else _summary
        lines = [*_report(old, entries, outcomes), *summary(outcomes, is_dry_run=dry_run)]
        if not dry_run and Outcome.CREATED in outcomes:
            lines.append(f"Stop {old.to_stop}. Otherwise each of them runs twice.")
        if not dry_run and Outcome.MOVED in outcomes:
            lines.append(f"Stop {old.to_stop}, and start future_worker, which runs them.")
        self.stdout.write("\n".join(map(_printable, lines)))


def _destinations(old: _Package, alias: str) -> set[str]:
    if not old.moves_tasks:
        return {alias}
    try:
        destinations = tasks_db.destinations()
    except ImportError as error:
        raise CommandError("Install django-tasks, or use Django 6.0 or later.") from error
    if not destinations:
        raise CommandError(
            "TASKS has no backend 'django_future.backend.FutureBackend'. Set the BACKEND of one of "
            "its aliases."
        )
    return destinations


def _report(old: _Package, entries: Sequence[Entry], outcomes: Sequence[Outcome]) -> Iterator[str]:
    if not entries:
        kind = "waiting tasks" if old.moves_tasks else "schedules"
        yield f"The tables of {old.name} contain no {kind}."
        return
    title = "As a job" if old.moves_tasks else "As a recurring job"
    rows = [
        [entry.name, entry.old, "-" if entry.refusal else entry.new, outcome.value]
        for entry, outcome in zip(entries, outcomes, strict=True)
    ]
    yield from _table([["Name", f"In {old.name}", title, "Action"], *rows])
    yield from _list("Cannot be carried over", [(each.name, each.refusal) for each in entries])
    yield from _list(
        "Notes", [(each.name, note) for each in entries if not each.refusal for note in each.notes]
    )
    yield ""


def _table(rows: list[list[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _list(title: str, texts: list[tuple[str, str]]) -> Iterator[str]:
    lines = [f"  {name}: {text}" for name, text in texts if text]
    if lines:
        yield from ["", f"{title}:", *lines]


def _summary(outcomes: Sequence[Outcome], *, is_dry_run: bool) -> Iterator[str]:
    count = Counter(outcomes)
    created, changed = count[Outcome.CREATED], count[Outcome.CHANGED]
    create, change = ("Would create", "change") if is_dry_run else ("Created", "changed")
    if created or changed:
        yield f"{create} {counted(created, 'recurring job')}, and {change} {changed:,}."
    else:
        yield "There is nothing to change." if is_dry_run else "Nothing was changed."
    if unchanged := count[Outcome.UNCHANGED]:
        jobs, are = counted(unchanged, "recurring job"), agreeing(unchanged, "is", "are")
        yield f"{jobs} {are} up to date."
    if refused := count[Outcome.REFUSED]:
        yield f"{counted(refused, 'schedule')} cannot be carried over."


def _summary_of_tasks(outcomes: Sequence[Outcome], *, is_dry_run: bool) -> Iterator[str]:
    count = Counter(outcomes)
    if moved := count[Outcome.MOVED]:
        yield f"{'Would move' if is_dry_run else 'Moved'} {counted(moved, 'task')}."
    else:
        yield "There is nothing to move." if is_dry_run else "Nothing was moved."
    if refused := count[Outcome.REFUSED]:
        yield f"{counted(refused, 'task')} cannot be moved."


def _printable(text: str) -> str:
    # A name that was written by SQL may contain control characters for the terminal.
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
