"""`manage.py future_sign`: sign rows that an operator vouches for."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from django_future.databases import jobs_database
from django_future.exceptions import TamperedArguments
from django_future.management.wording import jobs, line_about
from django_future.models import ScheduledJob
from django_future.models.querysets import ScheduledJobQuerySet
from django_future.scheduling.signing import not_signed, vouch_for


class Command(BaseCommand):
    """Sign jobs whose signature does not hold, and put those that are parked back."""

    help = "Signs jobs that you vouch for, and puts those that are parked back on the calendar."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument
        add("ids", nargs="*", type=int, metavar="id", help="Sign these jobs.")
        add("--handler", action="append", default=[], help="Sign the jobs of it; repeatable.")
        add("--all", action="store_true", help="Sign every job that is not signed.")
        add("--dry-run", action="store_true", help="Only show what the jobs would call.")
        add("--database", choices=tuple(connections), help="Sign jobs of this database alias.")

    def handle(self, *_: Any, dry_run: bool, **given: Any) -> None:
        """Sign the jobs, and show what each of them calls."""
        signed = left = 0
        for job in not_signed(_chosen(given)):
            self.stdout.write(line_about(job))
            try:
                is_signed = dry_run or vouch_for(job)
                reason = "its row has just changed"
            except TamperedArguments as error:
                is_signed, reason = False, str(error)
            signed, left = signed + is_signed, left + (not is_signed)
            if not is_signed:
                self.stderr.write(f"Job {job.pk} is not signed: {reason}")
        verb = "Would sign" if dry_run else "Signed"
        self.stdout.write(f"{verb} {jobs(signed)}." + (f" Left {jobs(left)}." if left else ""))


def _chosen(given: dict[str, Any]) -> ScheduledJobQuerySet:
    chosen = ScheduledJob.objects.using(jobs_database(given["database"]))
    ways = [bool(given[name]) for name in ("ids", "handler", "all")]
    if sum(ways) != 1:
        raise CommandError("Give either ids of jobs, or --handler, or --all.")
    if given["ids"]:
        return chosen.filter(pk__in=given["ids"])
    return chosen.filter(callable_name__in=given["handler"]) if given["handler"] else chosen
