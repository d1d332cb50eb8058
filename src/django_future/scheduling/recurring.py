"""Creates recurring jobs, and acts on them."""

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Unpack

from asgiref.sync import sync_to_async
from django.db import IntegrityError
from django.db.models.signals import pre_delete
from django.dispatch import receiver

from django_future import clock
from django_future.databases import jobs_database
from django_future.exceptions import InvalidOption, InvalidTime, UnknownRecurringJob
from django_future.handlers import Target
from django_future.models import RecurringJob, ScheduledJob
from django_future.models.recurring import NOT_DECLARED
from django_future.recurrence.missed import MISSED_AFTER
from django_future.recurrence.timing import TICK, zone_of
from django_future.scheduling.jobs import add_draft
from django_future.scheduling.queues import checked_author, checked_reason
from django_future.scheduling.recurring_columns import (
    COLUMNS,
    TIMING_COLUMNS,
    RecurringArguments,
    build_recurring,
)
from django_future.scheduling.runs import LEAD, Materialiser, build_run
from django_future.store import Store, store_for
from django_future.store import recurring as rows
from django_future.store.contention import retry_on_contention, write_transaction
from django_future.when import When, parse_when

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LISTED = 10_000  # instants that one call returns
MAX_BACKFILLED = 1000


def schedule_recurring(
    name: str,
    callable: Target,  # noqa: A002
    **arguments: Unpack[RecurringArguments],
) -> RecurringJob:
    """Create the recurring job `name`, or change it, and return the saved row.

    Give either `cron`, such as "0 9 * * mon-fri", or `every`, such as "90m". `cron` is in local
    time of `timezone`, which defaults to the project's. `every` counts from `starts_at`, which is
    its first run, or from now. `starts_at` and `ends_at` are inclusive, and there are at most
    `max_runs`. Each run is up to `jitter` late. `missed` ("once") decides about runs that are more
    than a minute late, with `catch_up_window`, and `overlap` ("allow") about a run that is due
    while the last one has not ended. `args`, `kwargs`, `content_object`, `expires`, `queue_name`,
    `priority`, `using` and the options are those of `schedule_job`, for each run. Those that are
    not given follow the handler.

    If nothing has changed, nothing is written. If the rhythm has changed, it counts from now. Runs
    that have not started are taken back, and materialised again with the new values.

    Raises a `SchedulingError`. In that case nothing is written.
    """
    return write(build_recurring(name, callable, **arguments))


aschedule_recurring = sync_to_async(schedule_recurring)


def write(wanted: RecurringJob) -> RecurringJob:
    """Insert a recurring job, or write what differs from the row with its name; return the row."""
    store = store_for(jobs_database(instance=wanted))
    try:
        return _write(store, wanted)
    except IntegrityError:
        # A rival has inserted the name after the query.
        if not RecurringJob.objects.using(store.alias).filter(name=wanted.name).exists():
            raise
        return _write(store, wanted)


def pause_recurring(
    name: str, *, reason: str = "", paused_by: str = "", using: str | None = None
) -> None:
    """Pause the recurring job `name`. Runs that have not started are taken back.

    `paused_by` is the name of a person or program. If it is paused already, both texts are
    replaced. Raises `UnknownRecurringJob`.
    """
    pause(_named(name, using), reason, paused_by)


def resume_recurring(name: str, *, using: str | None = None) -> None:
    """Resume the recurring job `name`, if it is paused. Raises `UnknownRecurringJob`.

    The next run is the next one from now. For those that the pause has left out, call
    `backfill()`.
    """
    resume(_named(name, using))


def trigger_recurring(name: str, *, using: str | None = None) -> ScheduledJob:
    """Schedule one more run of the recurring job `name` now, and return it.

    It also works while it is paused, and does not change its next run. Raises
    `UnknownRecurringJob`, or a `SchedulingError`.
    """
    return trigger(_named(name, using))


def pause(recurring: RecurringJob, reason: str = "", paused_by: str = "") -> None:
    reason, paused_by = checked_reason(reason), checked_author(paused_by)

    def change(store: Store, row: RecurringJob) -> None:
        row.paused_at = row.paused_at or clock.to_row(store.now())
        row.paused_reason, row.paused_by = reason, paused_by
        row.next_run_at = row.queued_at = None
        _take_back(store, row)

    _change(_store(recurring), recurring, change)


def resume(recurring: RecurringJob) -> None:
    def change(store: Store, row: RecurringJob) -> None:
        if row.paused_at is None:
            return
        row.paused_at, row.paused_reason, row.paused_by = None, "", ""
        if row.error != NOT_DECLARED:
            _set_next(row, store.now())

    _change(_store(recurring), recurring, change)


def trigger(recurring: RecurringJob) -> ScheduledJob:
    store = _store(recurring)
    # Loaded again, so that the signature is that of the row.
    row = _existing(
        RecurringJob.objects.using(store.alias).filter(pk=recurring.pk).first(), recurring
    )
    return add_draft(build_run(row, store.alias, None, store.now()))


def backfill(recurring: RecurringJob, start: When, end: When) -> list[ScheduledJob]:
    store = _store(recurring)
    now = store.now()
    instants = _period(recurring, start, end, now)
    return _backfill(store, recurring, instants, now) if instants else []


def missing_instants(
    recurring: RecurringJob, start: When, end: When
) -> tuple[list[datetime], list[datetime]]:
    """Return the instants of a period, and those for which `backfill` would schedule a run."""
    store = _store(recurring)
    instants = _period(recurring, start, end, store.now())
    if not instants:
        return [], []
    taken = rows.existing_runs(store, {recurring.pk: instants})
    return instants, [found for found in instants if (recurring.pk, found) not in taken]


def _period(recurring: RecurringJob, start: When, end: When, now: datetime) -> list[datetime]:
    zone = zone_of(recurring.timezone)
    first, last = (parse_when(value, now=now, zone=zone) for value in (start, end))
    if last < first or last > now:
        why = "is before start" if last < first else "is in the future, which the schedule runs"
        raise InvalidTime(f"end={end!r} is {last}, which {why}. Give one from start to now.")
    count = recurring.timing.count(first, last)
    if count > MAX_BACKFILLED:
        raise InvalidTime(
            f"From {first} to {last} there are {count:,} instants. Give a period with at most "
            f"{MAX_BACKFILLED:,}."
        )
    return list(islice(recurring.timing.since(first), count))


def upcoming(recurring: RecurringJob, n: int, after: When | None = None) -> list[datetime]:
    instant = _instant(recurring, after)
    return _listed(recurring, n, recurring.timing.after(instant))


def previous(recurring: RecurringJob, n: int, before: When | None = None) -> list[datetime]:
    instant = _instant(recurring, before)
    return _listed(recurring, n, recurring.timing.before(instant))


@receiver(pre_delete, sender=RecurringJob)
def _take_back_before_deletion(*, instance: RecurringJob, using: str, **_: Any) -> None:
    store = store_for(using)
    with write_transaction(store):
        # Until the row is deleted, no process materialises another run.
        rows.lock_one(store, pk=instance.pk)
        rows.take_back(store, instance)


@retry_on_contention
def _backfill(
    store: Store, recurring: RecurringJob, instants: list[datetime], now: datetime
) -> list[ScheduledJob]:
    with write_transaction(store):
        row = _existing(rows.lock_one(store, pk=recurring.pk), recurring)
        taken = rows.existing_runs(store, {recurring.pk: instants})
        drafts = [
            build_run(row, store.alias, instant, now)
            for instant in instants
            if (recurring.pk, instant) not in taken
        ]
        jobs = [add_draft(draft) for draft in drafts]
        row.runs += len(jobs)
        row.save(using=store.alias, update_fields=["runs"])
        return jobs


@retry_on_contention
def _write(store: Store, wanted: RecurringJob) -> RecurringJob:
    taken: list[datetime] = []
    with write_transaction(store):
        row = rows.lock_one(store, name=wanted.name)
        if row is None:
            _set_next(wanted, store.now())
            wanted.save(force_insert=True, using=store.alias)
            row = wanted
        elif changed := _differences(row, wanted):
            taken = _apply(store, row, wanted, changed)
        else:
            return row
        materialise_soon(store, row, taken)
    row.refresh_from_db(using=store.alias)
    return row


def materialise_soon(store: Store, row: RecurringJob, taken: Sequence[datetime] = ()) -> None:
    """Materialise the runs of a new or changed row that are due before the next round.

    `taken` are the instants of runs that were taken back, and are materialised again.
    """
    now = store.now()
    is_due = row.next_run_at is not None and clock.from_row(row.next_run_at) <= now + LEAD
    if is_due or taken:
        Materialiser(store).work_one(row.pk, now, taken)


def _differences(row: RecurringJob, wanted: RecurringJob) -> set[str]:
    columns = {name for name in COLUMNS if vars(row)[name] != vars(wanted)[name]}
    # An error, or a declaration that the code did not have in the meantime, is tried again.
    return columns | {"error"} if row.error or not row.is_signed else columns


def _apply(
    store: Store, row: RecurringJob, wanted: RecurringJob, changed: set[str]
) -> list[datetime]:
    """Change a row, and return the instants of runs that must be materialised again."""
    now = store.now()
    is_rhythm_new = not TIMING_COLUMNS.isdisjoint(changed)
    next_at = row.next_run_at and clock.from_row(row.next_run_at)
    last_at = row.last_run_at and clock.from_row(row.last_run_at) + TICK
    for name in changed & COLUMNS:
        setattr(row, name, vars(wanted)[name])
    row.is_signed, row.error = True, ""  # code has just written all that the row calls
    if is_rhythm_new:
        row.anchor_at = wanted.anchor_at
    taken = _take_back(store, row, since=now - MISSED_AFTER)
    if is_rhythm_new:
        row.queued_at = None
        _set_next(row, now)
    else:
        # Not from the first instant in `taken` on: the runs of later ones may have ended, and their
        # rows may be deleted.
        _set_next(row, next_at or max(now, last_at or now))
    row.save(using=store.alias)
    return [] if is_rhythm_new else taken


def _set_next(row: RecurringJob, since: datetime) -> None:
    """Set the next run to the first instant from `since` on, unless there is no more run."""
    is_over = row.max_runs is not None and row.runs >= row.max_runs
    next_at = None if is_over or row.is_paused else next(row.timing.since(since), None)
    row.next_run_at = next_at and clock.to_row(next_at)


def _take_back(store: Store, row: RecurringJob, since: datetime | None = None) -> list[datetime]:
    taken = rows.take_back(store, row, since)
    if taken:
        row.runs = max(row.runs - len(taken), 0)
        row.last_run_at = rows.last_run_at(store, row)
    return taken


@retry_on_contention
def _change(
    store: Store, recurring: RecurringJob, change: Callable[[Store, RecurringJob], None]
) -> None:
    """Lock the row of a recurring job, `change` and save it, and reload `recurring`."""
    with write_transaction(store):
        row = _existing(rows.lock_one(store, pk=recurring.pk), recurring)
        change(store, row)
        row.save(using=store.alias)
        materialise_soon(store, row)
    recurring.refresh_from_db(using=store.alias)


def _existing(row: RecurringJob | None, recurring: RecurringJob) -> RecurringJob:
    if row is None:
        raise UnknownRecurringJob(
            f"The recurring job {recurring.name!r} was deleted. Schedule it again."
        )
    return row


def _named(name: str, using: str | None) -> RecurringJob:
    alias = jobs_database(using)
    found = RecurringJob.objects.using(alias).filter(name=name).first()
    if found is None:
        raise UnknownRecurringJob(
            f"There is no recurring job {name!r} in the database {alias!r}. Give the name that "
            "was passed to schedule_recurring() or @recurring."
        )
    return found


def _store(recurring: RecurringJob) -> Store:
    return store_for(jobs_database(instance=recurring))


def _instant(recurring: RecurringJob, value: When | None) -> datetime:
    now = clock.now()
    return now if value is None else parse_when(value, now=now, zone=zone_of(recurring.timezone))


def _listed(recurring: RecurringJob, n: int, instants: "Iterator[datetime]") -> list[datetime]:
    if type(n) is not int or not 0 <= n <= MAX_LISTED:
        raise InvalidOption(f"n is {n!r}. Give a whole number from 0 to {MAX_LISTED:,}.")
    zone = zone_of(recurring.timezone)
    return [instant.astimezone(zone) for instant in islice(instants, n)]
