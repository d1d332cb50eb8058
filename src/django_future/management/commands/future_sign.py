"""`manage.py future_sign`: sign jobs that an operator trusts."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from django_future.databases import jobs_database
from django_future.exceptions import TamperedArguments
from django_future.management.tables import check_tables
from django_future.management.wording import line_about
from django_future.models import ScheduledJob
from django_future.models.querysets import ScheduledJobQuerySet
from django_future.plural import counted
from django_future.scheduling.signing import jobs_to_sign, sign_job


class Command(BaseCommand):
    """Sign parked jobs, and those whose signature is not valid; schedule the parked ones."""

    help = "Signs jobs that you trust, and schedules the parked ones again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument
        add("ids", nargs="*", type=int, metavar="id", help="Sign these jobs.")
        add(
            "--handler",
            action="append",
            default=[],
            help="Sign the jobs of this handler; may be repeated.",
        )
        add("--all", action="store_true", help="Sign all jobs that wait or are parked.")
        add("--dry-run", action="store_true", help="Only print what the jobs would call.")
        add("--database", choices=tuple(connections), help="Sign jobs of this database alias.")

    def handle(self, *_: Any, dry_run: bool, **options: Any) -> None:
        """Sign the jobs, and print what each of them calls."""
        signed = skipped = 0
        for job in jobs_to_sign(_selected(options)):
            self.stdout.write(line_about(job))
            try:
                is_signed = dry_run or sign_job(job)
                reason = "its row has changed in the meantime"
            except TamperedArguments as error:
                is_signed, reason = False, str(error)
            signed, skipped = signed + is_signed, skipped + (not is_signed)
            if not is_signed:
                self.stderr.write(f"Job {job.pk} was skipped: {reason}")
        verb = "Would sign" if dry_run else "Signed"
        self.stdout.write(
            f"{verb} {counted(signed, 'job')}."
            + (f" Skipped {counted(skipped, 'job')}." if skipped else "")
        )


def _selected(options: dict[str, Any]) -> ScheduledJobQuerySet:
    if sum(bool(options[name]) for name in ("ids", "handler", "all")) != 1:
        raise CommandError("Give either ids of jobs, or --handler, or --all.")
    alias = jobs_database(options["database"])
    check_tables(alias)
    selected = ScheduledJob.objects.using(alias)
    if options["ids"]:
        return selected.filter(pk__in=options["ids"])
    if options["handler"]:
        return selected.filter(callable_name__in=options["handler"])
    return selected
