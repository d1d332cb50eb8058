"""Turns due instants of recurring jobs into jobs: their runs."""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

from django.db import DatabaseError, InterfaceError, OperationalError

from django_future import clock, handlers, resolution, signatures
from django_future.exceptions import InvalidOption, NotSigned, ObjectGone
from django_future.models import RecurringJob, ScheduledJob
from django_future.models.fields import raw_value, signed_columns
from django_future.models.recurring import NEVER, Overlap
from django_future.options import AnyOptions, JobOptions
from django_future.recurrence.missed import MISSED_AFTER, Missed, due_runs
from django_future.recurrence.timing import jitter_of
from django_future.scheduling.builder import (
    Draft,
    SchedulingContext,
    check_stored_arguments,
    default_values,
    set_times,
    stored_options,
)
from django_future.scheduling.unique import unique_key
from django_future.store import Store
from django_future.store import recurring as rows
from django_future.store.contention import with_retries, write_transaction
from django_future.store.unique import add_unique, key_of, locked_keys
from django_future.task_signals import send_all_finished
from django_future.text import shortened, storable

logger = logging.getLogger("django_future")

# How long before its instant a run is materialised. Longer than the time between two rounds of a
# worker, which may be late by the length of one chore.
LEAD = timedelta(seconds=20)
ROUND = timedelta(seconds=10)  # between two rounds
WAITING_ROUND = timedelta(seconds=1)  # while a run waits for the end of the last one
MIN_IDLE_RATIO = 20  # between two such rounds, to the time that the first one took
RETRY_SECONDS = 600.0  # before a process tries a recurring job with an error again
MAX_RUNS_PER_TRANSACTION = 2000
# Between two transactions with SQLite's write lock, so that the writers that wait can get it. They
# try again after up to 25 ms.
PAUSE_SECONDS = 0.02


class Materialiser:
    """Materialises the runs of all recurring jobs of a database. Any number may do so."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # By id, when this process tries a recurring job again that it could not follow.
        self._failing: dict[int, float] = {}
        self._round_at: datetime | None = None
        # By id, the next runs that the last round could not decide; see `_Batch.held`.
        self._held: dict[int, datetime] = {}

    def work(self, at: datetime, lead: timedelta = LEAD) -> datetime:
        """Materialise the runs that are due until `at` plus `lead`; return when to call it again.

        A recurring job that cannot be followed records why, and does not stop the others.
        """
        store, until, round_at = self._store, at + lead, self._round_at
        if round_at is None or not round_at - ROUND < at < round_at:
            round_at = at + ROUND
            self._held = {}
        else:
            until = at  # between two rounds, only for a run that waits or could not be decided
            self._held = {pk: held_at for pk, held_at in self._held.items() if held_at > at}
        next_run_at, queued_at = rows.heads(store)
        if next_run_at is not None and next_run_at <= until:
            self._repeat(partial(self._locked_due, until), at, until)
        again_at = min([round_at, *self._held.values()])
        if queued_at is not None:
            began_at = time.monotonic()
            self._repeat(partial(rows.lock_waiting, store), at, until)
            took = timedelta(seconds=time.monotonic() - began_at)
            again_at = min(again_at, at + max(WAITING_ROUND, MIN_IDLE_RATIO * took))
        # Only now, so that the next call repeats a round that fails.
        self._round_at = round_at
        return again_at

    def _repeat(
        self, lock: Callable[[], list[RecurringJob]], at: datetime, until: datetime
    ) -> None:
        """Handle all rows that `lock` returns, which returns them in batches."""
        is_complete = False
        while not is_complete:
            batch = self._in_transaction(lock, at, until)
            self._held.update(batch.held)
            is_complete = batch.size < rows.batch_size(self._store) and not batch.is_cut
            if not is_complete and self._store.write_lock:
                time.sleep(PAUSE_SECONDS)

    def work_one(self, pk: int, at: datetime, taken: Sequence[datetime] = ()) -> None:
        """Materialise the runs of one recurring job that are due soon, in the open transaction.

        Those of the instants `taken` come first.
        """
        batch = _Batch(self._store, at, at + LEAD, is_waiting=True)
        locked = rows.lock_one(self._store, pk=pk)
        if locked is not None and taken:
            batch.materialise_again(locked, taken)
            locked = rows.lock_one(self._store, pk=pk)
        if locked is not None and locked.next_run_at is not None:
            batch.materialise([locked])

    def _locked_due(self, until: datetime) -> list[RecurringJob]:
        now = time.monotonic()
        self._failing = {pk: retry_at for pk, retry_at in self._failing.items() if retry_at > now}
        return rows.lock_due(self._store, until, held=self._held, failing=self._failing)

    def _in_transaction(
        self, lock: Callable[[], list[RecurringJob]], at: datetime, until: datetime
    ) -> "_Batch":
        locked: list[RecurringJob] = []

        def materialise() -> _Batch:
            locked.clear()
            batch = _Batch(self._store, at, until)
            with self._short_transaction():
                locked[:] = lock()
                batch.materialise(locked)
            return batch

        is_inside = self._store.connection.in_atomic_block
        is_repeated = self._store.write_lock and not is_inside
        try:
            batch = with_retries(self._store, materialise) if is_repeated else materialise()
        except Exception:
            if not locked or not self._is_connected():
                raise
            # A statement for one recurring job broke the transaction of all: for example, a rival
            # has locked the job with its unique key. Or a receiver of a signal broke it. One by
            # one, the others succeed.
            batch = _Batch(self._store, at, until, is_cut=True)
            for recurring in locked:
                self._alone(recurring, batch)
        for recurring, error in batch.errors:
            self._record(recurring, error)
        return batch

    def _alone(self, recurring: RecurringJob, batch: "_Batch") -> None:
        try:
            with self._short_transaction():
                locked = rows.lock_one(
                    self._store,
                    pk=recurring.pk,
                    next_run_at=recurring.next_run_at,
                    queued_at=recurring.queued_at,
                )
                batch.materialise([locked] if locked else [])
        except Exception as error:
            if not self._is_connected():
                raise
            if isinstance(error, OperationalError) and self._store.is_contention(error):
                # The cause is a rival, and not this recurring job.
                batch.held[recurring.pk] = batch.at + WAITING_ROUND
            else:
                batch.errors.append((recurring, error))

    @contextmanager
    def _short_transaction(self) -> Iterator[None]:
        # A transaction of the project may lock, for hours, the job that has the unique key of a
        # run. This transaction would then keep the rows of up to a hundred recurring jobs locked.
        is_inside = self._store.connection.in_atomic_block
        waits = nullcontext() if is_inside else self._store.short_lock_waits()
        with write_transaction(self._store), waits:
            yield

    def _is_connected(self) -> bool:
        # An error of a connection closes it. Then the error is not that of a recurring job.
        try:
            return self._store.connection.connection is not None and bool(rows.heads(self._store))
        except (DatabaseError, InterfaceError):
            return False

    def _record(self, recurring: RecurringJob, error: BaseException) -> None:
        self._failing[recurring.pk] = time.monotonic() + RETRY_SECONDS
        text = shortened(storable(_described(error)))
        if rows.record_error(self._store, recurring, text):
            logger.error(
                "The recurring job %r cannot be followed: %s", recurring.name, text, exc_info=error
            )


def _described(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - its __str__ may raise anything
        return type(error).__name__


@dataclass
class _Batch:
    """The recurring jobs of one transaction, and what became of them."""

    store: Store
    at: datetime
    until: datetime
    size: int = 0
    is_cut: bool = False  # because it would have had too many runs
    is_waiting: bool = False  # for the jobs that rivals have locked
    # The ids of those whose last run has not ended, but may end before their next instant, and of
    # those whose run replaces a job that a rival has locked.
    held: dict[int, datetime] = field(default_factory=dict)
    errors: list[tuple[RecurringJob, BaseException]] = field(default_factory=list)

    def materialise(self, locked: list[RecurringJob]) -> None:
        """Insert the due runs of locked rows, and move their next run."""
        self.size += len(locked)
        may_be_blocked = [one.pk for one in locked if one.overlap != Overlap.ALLOW]
        blocked = rows.blocked(self.store, may_be_blocked)
        moves: list[_Move] = []
        for recurring in locked:
            plan = partial(self._planned, recurring, is_blocked=recurring.pk in blocked)
            if (move := self._guarded(recurring, plan)) is not None:
                moves.append(move)
            if sum(len(move.drafts) for move in moves) >= MAX_RUNS_PER_TRANSACTION:
                self.is_cut = True
                break
        self._write(self._without_wait(moves))

    def materialise_again(self, locked: RecurringJob, instants: Sequence[datetime]) -> None:
        """Insert the runs of a locked row for instants whose runs were taken back."""
        move = self._guarded(locked, lambda: _Move(locked).of_taken(self.store, instants, self.at))
        self._write([] if move is None else [move])

    def _without_wait(self, moves: list["_Move"]) -> list["_Move"]:
        """Return the moves that replace no locked job, and hold the others."""
        if self.is_waiting or self.store.write_lock:
            return moves
        replacing = [draft.job for move in moves for draft in move.drafts if draft.is_replacing]
        locked = locked_keys(self.store, replacing)
        free = []
        for move in moves:
            # A move that has taken back runs was partly written.
            if move.taken_back or not any(key_of(draft.job) in locked for draft in move.drafts):
                free.append(move)
            else:
                self.held[move.recurring.pk] = self.at + WAITING_ROUND
        return free

    def _write(self, moves: list["_Move"]) -> None:
        self._insert(moves)
        for move in moves:
            if not rows.advance(self.store, move.recurring, move.values):
                raise DatabaseError(f"The recurring job {move.recurring.name!r} has changed.")

    def _guarded(
        self, recurring: RecurringJob, plan: Callable[[], "_Move | None"]
    ) -> "_Move | None":
        """Return the result of `plan`; if it raises, note the error, and return None."""
        try:
            return plan()
        except (DatabaseError, InterfaceError, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - of its handler's module, or of `unique`
            self.errors.append((recurring, error))
            return None

    def _planned(self, recurring: RecurringJob, *, is_blocked: bool) -> "_Move | None":
        first_at = recurring.next_run_at and clock.from_row(recurring.next_run_at)
        if recurring.queued_at is not None and not is_blocked:
            return _Move(recurring).of_waiting_run(self.store, self.at)
        if first_at is None:
            return None
        if is_blocked and first_at > self.at:
            self.held[recurring.pk] = first_at
            return None
        move = _Move(recurring)
        if is_blocked:
            return move.of_overlap(first_at, self.at)
        return move.of_due_runs(self.store, first_at, self.at, self.until)

    def _insert(self, moves: Iterable["_Move"]) -> None:
        drafts = [(move, draft) for move in moves for draft in move.drafts]
        if not drafts:
            return
        instants = [clock.from_row(cast("datetime", draft.job.recurs_at)) for _, draft in drafts]
        instants_by_id: dict[int, list[datetime]] = defaultdict(list)
        for (move, _), instant in zip(drafts, instants, strict=True):
            instants_by_id[move.recurring.pk].append(instant)
        taken = rows.existing_runs(self.store, instants_by_id)
        new = [
            (move, draft)
            for (move, draft), instant in zip(drafts, instants, strict=True)
            if (move.recurring.pk, instant) not in taken
        ]
        simple = [draft.job for _, draft in new if draft.job.unique_key is None]
        if simple:
            self.store.add(simple)
        for move, (job, is_replacing) in new:
            if job.unique_key is None:
                continue
            added = add_unique(
                self.store, job, is_replacing=is_replacing, on_expired=send_all_finished
            )
            if added is not job:
                move.skip_one()


class _Move:
    """The runs to insert for one recurring job, and the new values of its row."""

    def __init__(self, recurring: RecurringJob) -> None:
        self.recurring = recurring
        self.drafts: list[Draft] = []
        self.taken_back = 0
        self.values: dict[str, Any] = {"error": ""}

    def of_due_runs(
        self, store: Store, first_at: datetime, at: datetime, until: datetime
    ) -> "_Move":
        """Let the due instants run, by the policy for missed runs."""
        recurring = self.recurring
        instants, missed, next_at = due_runs(
            recurring.timing,
            first_at,
            now=at,
            until=until,
            missed=recurring.missed,
            window=recurring.catch_up_window,
        )
        if missed and recurring.missed == Missed.ONCE:
            # Those that were materialised just before the downtime, for instants before the latest.
            self.taken_back = self._take_back_ahead(store, until=at - MISSED_AFTER)
            missed += self.taken_back
        if recurring.overlap != Overlap.ALLOW and len(instants) > 1:
            next_at = instants[1]  # the first run decides whether this one may run
            del instants[1:]
        self._add(store, instants, at)
        self.values["missed_runs"] = recurring.missed_runs + missed
        self._set_next(next_at)
        return self

    def of_overlap(self, first_at: datetime, at: datetime) -> "_Move":
        """Skip the due instants because the last run has not ended, or let one of them wait."""
        recurring, timing = self.recurring, self.recurring.timing
        skipped = timing.count(first_at, at)
        if recurring.overlap == Overlap.QUEUE_ONE and recurring.queued_at is None and skipped:
            first = next(timing.since(first_at))
            self.values["queued_at"] = clock.to_row(first)
            skipped -= 1
        self.values["skipped_runs"] = recurring.skipped_runs + skipped
        self._set_next(next(timing.after(at), None))
        return self

    def of_waiting_run(self, store: Store, at: datetime) -> "_Move":
        """Let the waiting instant run."""
        self._add(store, [clock.from_row(cast("datetime", self.recurring.queued_at))], at)
        self.values["queued_at"] = None
        return self

    def of_taken(self, store: Store, instants: Sequence[datetime], at: datetime) -> "_Move":
        """Let instants run again whose runs were taken back, if they still are instants."""
        count = self.recurring.timing.count
        self._add(store, [instant for instant in instants if count(instant, instant)], at)
        return self

    def skip_one(self) -> None:
        """Count one of the runs as skipped, because another job has its unique key."""
        recurring = self.recurring
        skipped = self.values.get("skipped_runs", recurring.skipped_runs)
        self.values |= {"skipped_runs": skipped + 1, "runs": self.values["runs"] - 1}

    def _take_back_ahead(self, store: Store, until: datetime) -> int:
        if self.recurring.last_run_at is None:
            return 0
        last_run_at = clock.from_row(self.recurring.last_run_at)
        return rows.take_back_ahead(store, self.recurring, last_run_at - LEAD, until)

    def _add(self, store: Store, instants: list[datetime], at: datetime) -> None:
        recurring = self.recurring
        if recurring.max_runs is not None:
            del instants[max(recurring.max_runs - recurring.runs, 0) :]
        self.drafts += [
            build_run(recurring, store.alias, instant, at, is_scheduled=True)
            for instant in instants
        ]
        self.values["runs"] = max(recurring.runs + len(instants) - self.taken_back, 0)
        if instants:
            last_run_at = clock.to_row(instants[-1])
            self.values["last_run_at"] = max(recurring.last_run_at or last_run_at, last_run_at)
            # Its signature was valid, but may have been made with an old key.
            self.values["signature"] = signatures.sign(signed_columns(recurring))

    def _set_next(self, next_at: datetime | None) -> None:
        recurring = self.recurring
        runs = self.values.get("runs", recurring.runs)
        if recurring.max_runs is not None and runs >= recurring.max_runs:
            next_at = None
        self.values["next_run_at"] = next_at and clock.to_row(next_at)


def build_run(
    recurring: RecurringJob,
    alias: str,
    instant: datetime | None,
    at: datetime,
    *,
    is_scheduled: bool = False,
) -> Draft:
    """Build the unsaved run for an instant, or one that is due now if `instant` is None.

    `is_scheduled` says whether its schedule asks for it, and not a person.

    Raises a `SchedulingError`, or `ObjectGone`.
    """
    _check_signature(recurring)
    context = SchedulingContext(at, clock.current_zone())
    job = ScheduledJob.from_values(_values_of_call(recurring), alias, is_new=True)
    job.recurring_id, job.recurs_at = recurring.pk, instant and clock.to_row(instant)
    handler, content_object = _handler_of(recurring, job)
    options = _options(recurring, handler)
    check_stored_arguments(job, handler)
    vars(job).update(options.columns)
    if options.unique:
        job.unique_key = unique_key(
            job, options.unique, handler, content_object, recurring.args, recurring.kwargs
        )
    jitter = jitter_of(recurring.name, instant, recurring.jitter) if instant else timedelta()
    # A run that is made up for is due now. Otherwise it would overtake the jobs that are due.
    scheduled_at = max(instant + jitter, at) if instant else at
    set_times(job, context, scheduled_at, _expires(recurring, options))
    if is_scheduled and recurring.missed == Missed.SKIP:
        _expire_when_missed(job)
    return Draft(job, options.unique_replace)


def _check_signature(recurring: RecurringJob) -> None:
    # The run gets a valid signature, so the call of a row that SQL wrote must not be copied.
    if not recurring.is_signed:
        raise NotSigned(
            "The signature is not valid: SQL changed the row, or another SECRET_KEY signed it. "
            "Call schedule_recurring() again, or check what it calls and save it in the admin."
        )


def _values_of_call(recurring: RecurringJob) -> dict[str, Any]:
    own = _own_options(recurring)
    return default_values() | {
        "callable_name": recurring.callable_name,
        "args": raw_value(recurring, "args"),
        "kwargs": raw_value(recurring, "kwargs"),
        "options": stored_options(own, recurring.callable_name),
        "content_type_id": recurring.content_type_id,
        "object_id": recurring.object_id,
        "object_database": recurring.object_database,
        "task_backend": recurring.task_backend,
    }


def _handler_of(recurring: RecurringJob, job: ScheduledJob) -> tuple[handlers.Handler, Any]:
    if recurring.object_id is None:
        return resolution.unbound_handler(job), None
    # The handler may be a method of the object, and its `unique` may be a function of the object.
    content_object = recurring.content_object
    if content_object is None:
        raise ObjectGone(f"The content object {recurring.object_id} was deleted.")
    return resolution.resolve(job, content_object), content_object


def _options(recurring: RecurringJob, handler: handlers.Handler) -> JobOptions:
    own = _own_options(recurring)
    for name in ("queue_name", "priority"):
        if (value := getattr(recurring, name)) is not None:
            own[name] = value
    try:
        return replace(handlers.options_of(handler), **own)
    except TypeError as error:
        raise InvalidOption(f"The options {own!r} are not valid: {error}.") from error


def _expire_when_missed(job: ScheduledJob) -> None:
    # The workers may stop after they have materialised the run.
    missed_at = clock.from_row(job.scheduled_at) + MISSED_AFTER
    if job.expires_at is None or clock.from_row(job.expires_at) > missed_at:
        job.expires_at = clock.to_row(missed_at)


def _own_options(recurring: RecurringJob) -> AnyOptions:
    options = recurring.options
    if options is not None and not isinstance(options, dict):
        raise InvalidOption(f"The options are {options!r}. Give a dictionary.")
    return cast("AnyOptions", dict(options or {}))


def _expires(recurring: RecurringJob, options: JobOptions) -> Any:
    if recurring.expires == NEVER:
        return None
    return recurring.expires or options.expires
