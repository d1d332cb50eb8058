"""`manage.py future_rename`: change the name of the handler in waiting jobs."""

from argparse import ArgumentParser
from contextlib import suppress
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError, connections

from django_future import handlers
from django_future.databases import jobs_database
from django_future.exceptions import HandlerUnknown, InvalidCallable, TamperedArguments
from django_future.management.tables import check_tables
from django_future.management.wording import line_about
from django_future.models import ScheduledJob
from django_future.plural import counted
from django_future.resolution import model_of
from django_future.scheduling.signing import rename_handler


class Command(BaseCommand):
    """Make waiting jobs call a handler under its new name."""

    help = "Makes waiting jobs call a handler under its new name."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument
        add("old", help="The dotted path, or the name of a method, that the jobs call now.")
        add("new", help="The new dotted path or name of a method.")
        add("--dry-run", action="store_true", help="Only print the jobs.")
        add("--database", choices=tuple(connections), help="Change jobs of this database alias.")

    def handle(
        self, *_: Any, old: str, new: str, dry_run: bool, database: str | None, **__: Any
    ) -> None:
        """Rename the handler of each job with a valid signature, and print how many there were."""
        _check(old, new)
        alias = jobs_database(database)
        check_tables(alias)
        waiting = ScheduledJob.objects.using(alias).scheduled()
        renamed = skipped = 0
        for job in waiting.filter(callable_name=old).order_by("pk").iterator():
            self.stdout.write(line_about(job))
            reason = _reason_to_skip(job, new) or _rename(job, new, dry_run=dry_run)
            renamed, skipped = renamed + (not reason), skipped + bool(reason)
            if reason:
                self.stderr.write(f"Job {job.pk} was skipped: {reason}")
        verb = "Would rename" if dry_run else "Renamed"
        self.stdout.write(
            f"{verb} the handler of {counted(renamed, 'job')}."
            + (f" Skipped {counted(skipped, 'job')}." if skipped else "")
        )


def _check(old: str, new: str) -> None:
    if ("." in old) != ("." in new):
        raise CommandError(
            f"One of {old!r} and {new!r} is a method of an object, the other is not. Give two "
            "dotted paths, or two names of methods."
        )
    if "." in new:
        try:
            handlers.identify(new, None)
        except InvalidCallable as error:
            raise CommandError(str(error)) from error


def _reason_to_skip(job: ScheduledJob, new: str) -> str:
    if not job.is_signed:
        return "its signature is not valid. If you trust it, sign it first with future_sign."
    if "." not in new and not _has_method(job, new):
        return f"its object has no method {new!r}."
    return ""


def _has_method(job: ScheduledJob, name: str) -> bool:
    with suppress(HandlerUnknown):
        return callable(getattr(model_of(job), name, None))
    return False


def _rename(job: ScheduledJob, new: str, *, dry_run: bool) -> str:
    """Rename the handler of a job. Return why not, or an empty string."""
    try:
        is_renamed = dry_run or rename_handler(job, new)
    except TamperedArguments as error:
        return str(error)
    except IntegrityError:
        return "another job with the new name has the same unique key."
    return "" if is_renamed else "it has been claimed or changed in the meantime."
