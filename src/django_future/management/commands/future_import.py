"""`manage.py future_import`: turn the schedules of another package into recurring jobs."""

from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from django_future.databases import jobs_database
from django_future.importers import celery_beat, django_q
from django_future.importers.carrying import Outcome, carry_over
from django_future.importers.entry import Entry
from django_future.importers.old_tables import UnreadableTable
from django_future.management.tables import check_tables


class _Package(NamedTuple):
    name: str
    read_entries: Callable[[str], Iterator[Entry]]
    to_stop: str


PACKAGES = {
    "celery-beat": _Package("django-celery-beat", celery_beat.read_entries, "celery beat"),
    "django-q": _Package("django-q", django_q.read_entries, "the schedulers of django-q"),
}


class Command(BaseCommand):
    """Turn the schedules of another package into recurring jobs."""

    help = (
        "Turns the schedules in the tables of another package into recurring jobs. The package "
        "need not be installed. A second run only writes what has changed in its tables."
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
        alias = jobs_database(database)
        check_tables(alias)
        old = PACKAGES[package]
        try:
            entries = list(old.read_entries(source or alias))
        except UnreadableTable as error:
            raise CommandError(str(error)) from error
        outcomes = [carry_over(entry, alias, is_dry_run=dry_run) for entry in entries]
        lines = [*_report(old, entries, outcomes), *_summary(outcomes, is_dry_run=dry_run)]
        if not dry_run and Outcome.CREATED in outcomes:
            lines.append(f"Stop {old.to_stop}. Otherwise each of them runs twice.")
        self.stdout.write("\n".join(map(_printable, lines)))


def _report(old: _Package, entries: Sequence[Entry], outcomes: Sequence[Outcome]) -> Iterator[str]:
    if not entries:
        yield f"The tables of {old.name} contain no schedules."
        return
    rows = [
        [entry.name, entry.old, "-" if entry.refusal else entry.new, outcome.value]
        for entry, outcome in zip(entries, outcomes, strict=True)
    ]
    yield from _table([["Name", f"In {old.name}", "As a recurring job", "Action"], *rows])
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
        yield f"{create} {_recurring_jobs(created)}, and {change} {changed:,}."
    else:
        yield "There is nothing to change." if is_dry_run else "Nothing was changed."
    if unchanged := count[Outcome.UNCHANGED]:
        yield f"{_recurring_jobs(unchanged)} {'is' if unchanged == 1 else 'are'} up to date."
    if refused := count[Outcome.REFUSED]:
        yield f"{refused:,} schedule{'' if refused == 1 else 's'} cannot be carried over."


def _recurring_jobs(count: int) -> str:
    return f"{count:,} recurring job{'' if count == 1 else 's'}"


def _printable(text: str) -> str:
    # A name that was written by SQL may contain control characters for the terminal.
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
