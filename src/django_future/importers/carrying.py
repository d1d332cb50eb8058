"""Writes the recurring jobs of imported rows."""

from datetime import timedelta
from enum import Enum
from functools import partial

from django.db import DataError, IntegrityError

from django_future import clock
from django_future.exceptions import FutureError
from django_future.importers.entry import Entry
from django_future.importers.instants import shown
from django_future.models import RecurringJob
from django_future.recurrence.timing import describe_duration
from django_future.scheduling.recurring import schedule_recurring
from django_future.scheduling.recurring_columns import COLUMNS, build_recurring
from django_future.store import Store, store_for
from django_future.store.contention import with_retries, write_transaction


class Outcome(Enum):
    """What becomes of an entry."""

    CREATED = "create"
    CHANGED = "change"
    UNCHANGED = "unchanged"
    MOVED = "move"
    REFUSED = "none"


def carry_over(entry: Entry, alias: str, *, is_dry_run: bool) -> Outcome:
    """Create or change the recurring job of an entry, if it has one. A dry run writes nothing.

    Whether an existing one is paused does not change. An error sets the refusal of the entry.
    """
    if entry.refusal:
        return Outcome.REFUSED
    store = store_for(alias)
    try:
        # With all checks, but unsaved.
        wanted = build_recurring(entry.name, using=alias, **entry.arguments)
        existing = RecurringJob.objects.using(alias).filter(name=entry.name).first()
        is_paused = existing.is_paused if existing else bool(entry.paused_reason)
        entry.new = _description(wanted, is_paused=is_paused)
        if existing is not None and existing.is_declared:
            entry.refusal = "The code declares a recurring job with this name. Rename one of them."
            return Outcome.REFUSED
        if existing is not None and not _is_changed(existing, wanted):
            return Outcome.UNCHANGED
        if not is_dry_run:
            with_retries(store, partial(_write, store, entry, is_new=existing is None))
    except (FutureError, DataError, IntegrityError) as error:
        entry.refusal = str(error)
        return Outcome.REFUSED
    return Outcome.CREATED if existing is None else Outcome.CHANGED


def _is_changed(existing: RecurringJob, wanted: RecurringJob) -> bool:
    # As schedule_recurring decides.
    is_broken = bool(existing.error) or not existing.is_signed
    return is_broken or any(vars(existing)[name] != vars(wanted)[name] for name in COLUMNS)


def _write(store: Store, entry: Entry, *, is_new: bool) -> None:
    # In one transaction, so that no worker runs what will be paused.
    with write_transaction(store):
        recurring = schedule_recurring(entry.name, using=store.alias, **entry.arguments)
        if is_new and entry.paused_reason:
            recurring.pause(entry.paused_reason)


def _description(wanted: RecurringJob, *, is_paused: bool) -> str:
    is_once = wanted.starts_at is not None and wanted.starts_at == wanted.ends_at
    parts = [
        "once" if is_once else _rhythm(wanted),
        wanted.starts_at and f"from {shown(clock.from_row(wanted.starts_at))}",
        wanted.ends_at and not is_once and f"until {shown(clock.from_row(wanted.ends_at))}",
        wanted.max_runs and f"at most {wanted.max_runs} run{'' if wanted.max_runs == 1 else 's'}",
        wanted.queue_name and f"queue {wanted.queue_name}",
        wanted.expires and f"expires after {wanted.expires}",
        is_paused and "paused",
    ]
    return ", ".join(part for part in parts if part)


def _rhythm(wanted: RecurringJob) -> str:
    if wanted.cron:
        return f"cron {wanted.cron}, {wanted.timezone}"
    return f"every {describe_duration(wanted.every or timedelta())}"
