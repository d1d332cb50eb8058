"""`manage.py runscheduledjobs`: run the jobs that are due, and end."""

from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from django_future.databases import jobs_database
from django_future.execution.outcome import Ending, Outcome
from django_future.management.tables import check_tables
from django_future.worker.run_once import one_pass


class Command(BaseCommand):
    """Run the jobs that are due, each in its own transaction, and end."""

    help = "Runs the jobs that are due, each in its own transaction, and ends."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "-d", "--delete-completed", action="store_true", help="Delete jobs that complete."
        )
        parser.add_argument(
            "-i",
            "--ignore-errors",
            action="store_true",
            help="Continue after a job that failed, and exit with 0 in any case.",
        )
        parser.add_argument(
            "--database", choices=tuple(connections), help="Run the jobs of this database alias."
        )

    def handle(
        self,
        *_: Any,
        delete_completed: bool,
        ignore_errors: bool,
        database: str | None,
        verbosity: int,
        **__: Any,
    ) -> None:
        """Run the jobs, and print the result of each."""
        check_tables(jobs_database(database))
        counts: Counter[str] = Counter()
        for outcome in one_pass(delete_completed=delete_completed, using=database):
            label = _label(outcome)
            counts[label] += 1
            if verbosity:
                self._report(outcome, label)
            if outcome.failure and not ignore_errors:
                raise CommandError(
                    f"Job {outcome.job.pk} failed. The jobs after it stay scheduled."
                ) from outcome.failure
        if verbosity:
            summary = ", ".join(f"{count} {label}" for label, count in sorted(counts.items()))
            self.stdout.write(f"Ran {counts.total()}: {summary}." if counts else "Nothing is due.")

    def _report(self, outcome: Outcome, label: str) -> None:
        job = outcome.job
        style = self.style.ERROR if outcome.failure else self.style.SUCCESS
        self.stdout.write(f"{job.pk} {job.callable_name} {style(label)}")
        if outcome.failure or not outcome.was_runnable:
            self.stderr.write(job.error)


def _label(outcome: Outcome) -> str:
    if outcome.ending is Ending.LEASE_LOST:
        return "lost"
    return "released" if outcome.ending is Ending.HANDLER_UNKNOWN else str(outcome.job.status)
