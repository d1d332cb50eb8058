"""`manage.py future_prune`: delete the jobs whose retention is over."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand
from django.db import connections

from django_future import clock
from django_future.conf import config
from django_future.databases import jobs_database
from django_future.management.tables import check_tables
from django_future.plural import counted
from django_future.status import Status
from django_future.store import Store, store_for
from django_future.store.retention import count_prunable
from django_future.worker.maintenance import prune_status


class Command(BaseCommand):
    """Delete the jobs whose retention is over."""

    help = "Deletes the jobs whose retention in DJANGO_FUTURE['RETENTION'] is over."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="Only print how many jobs there are, and when the oldest ended.",
        )
        parser.add_argument(
            "--database", choices=tuple(connections), help="Delete jobs of this database alias."
        )

    def handle(self, *_: Any, dry_run: bool, database: str | None, **__: Any) -> None:
        """Delete the jobs, and print how many there were of each status."""
        store = store_for(jobs_database(database))
        check_tables(store.alias)
        retention = config().RETENTION
        if not retention:
            self.stdout.write(
                "All jobs are kept for ever. To delete them after a while, set for example "
                "DJANGO_FUTURE = {'RETENTION': {'complete': '7d'}}."
            )
        for status, length in retention.items():
            if dry_run:
                line = _prunable(store, status, length)
            else:
                line = _jobs(status, prune_status(store, status, length), length)
            self.stdout.write(line)


def _prunable(store: Store, status: Status, length: timedelta) -> str:
    count, oldest = count_prunable(store, status, store.now() - length)
    if oldest is None:
        return _jobs(status, count, length)
    local = clock.from_row(oldest).astimezone(clock.current_zone())
    return f"{_jobs(status, count, length)}, the oldest of {local:%Y-%m-%d %H:%M:%S}"


def _jobs(status: Status, count: int, length: timedelta) -> str:
    return f"{status}: {counted(count, 'job')} older than {_length_text(length)}"


def _length_text(length: timedelta) -> str:
    days, rest = divmod(length, timedelta(days=1))
    return str(length) if rest or not days else counted(days, "day")
