"""The main loop of a worker: it claims jobs, passes them to threads, and sleeps."""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from django.db import DatabaseError, InterfaceError

from django_future.models import ScheduledJob, Worker
from django_future.service_thread import OnDeath, ignore_death
from django_future.store import EVERYTHING, Selection, Store, leases
from django_future.worker.lookahead import Lookahead
from django_future.worker.pool import MAX_WAIT_FOR_THREAD, Pool
from django_future.worker.queue_selector import QueueSelector
from django_future.worker.wakeup import Wakeup

logger = logging.getLogger("django_future")

ORPHAN_CHECKS = 3  # one per beat, after the database was unreachable
MIN_SLEEP = timedelta(milliseconds=5)
BACKOFF_FACTOR = 4  # for the sleep, each time no job was found
NEVER = datetime.min.replace(tzinfo=UTC)
INITIAL_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.1, 5.0  # while the database is unreachable


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The conditions on which a worker stops by itself.

    With `burst` it stops when no job is due. With `parent`, a process id, it stops when this
    process is no longer a child of that process.
    """

    parent: int | None = None
    burst: bool = False
    max_jobs: int | None = None
    max_seconds: float | None = None


UNLIMITED = Limits()


class Loop:
    """Provides the threads of one process with jobs, until it is stopped or reaches a limit."""

    def __init__(
        self,
        store: Store,
        worker: Worker,
        *,
        threads: int = 1,
        selection: Selection = EVERYTHING,
        poll_interval: timedelta | None = None,
        limits: Limits = UNLIMITED,
        on_death: OnDeath = ignore_death,
    ) -> None:
        self.wakeup = Wakeup()
        self.pool = Pool(store, threads, on_idle=self.wakeup, on_death=on_death)
        self._store = store
        self._worker = worker
        self._queue_selector = QueueSelector(store, selection)
        self._lookahead = Lookahead()
        self._max_sleep = max(poll_interval or store.poll_interval, MIN_SLEEP)
        self._idle_sleep = MIN_SLEEP
        # Whether the next step queries for due jobs first, and claims only if there is one.
        self._is_claim_deferred = False
        self._claimed_until = NEVER  # the time up to which the last claim looked for jobs
        self._limits = limits
        self._claimed = 0
        self._to_release: list[ScheduledJob] = []
        self._orphan_checks_remaining = 0
        self._orphan_candidates: set[tuple[int, int]] = set()
        self.why_ended = ""
        # When the first step after the last successful one began; None while the loop sleeps.
        self._unanswered_since: float | None = None
        self._started_at = time.monotonic()

    def stop(self, why: str = "a stop was requested") -> None:
        """Claim no more, and return from `run`. May be called from any thread."""
        self.why_ended = self.why_ended or why
        self.wakeup()

    def why_no_progress(self, limit: timedelta) -> str:
        """Return why this worker has not been able to run a job for longer than `limit`, or ''."""
        unanswered_since = self._unanswered_since
        if unanswered_since is not None:
            seconds = time.monotonic() - unanswered_since
            if seconds > limit.total_seconds():
                return f"its database has not answered a claim for {seconds:.0f} s"
        if not self.pool.can_run and time.monotonic() - self._started_at > limit.total_seconds():
            return "none of its threads gets a connection to the database"
        return ""

    def refresh_paused_queues(self) -> None:
        """Read the paused queues again at the next claim. Each beat calls this."""
        self._queue_selector.invalidate()

    def run(self) -> None:
        """Claim and execute jobs until the loop is stopped or reaches a limit."""
        self.pool.start()
        pause = INITIAL_BACKOFF_SECONDS
        while not self._is_over():
            try:
                if self._unanswered_since is None:
                    self._unanswered_since = time.monotonic()
                sleep = self._work()
            except (DatabaseError, InterfaceError):
                logger.exception("The database is unreachable; trying again in %.1f s", pause)
                self._orphan_checks_remaining = ORPHAN_CHECKS
                self.refresh_paused_queues()
                self._store.connection.close()
                self.wakeup.wait(pause)
                pause = min(2 * pause, MAX_BACKOFF_SECONDS)
            else:
                self._unanswered_since = None
                pause = INITIAL_BACKOFF_SECONDS
                if self.wakeup.wait(sleep.total_seconds()):
                    self._is_claim_deferred = False
                    if not self._store.notices_every_commit:
                        self._idle_sleep = MIN_SLEEP

    def release_orphaned_claims(self) -> None:
        """Release jobs that are claimed in the database, but not in this process.

        This happens if the connection breaks after a claim was committed, but before its answer
        arrived. Each beat calls this.
        """
        if not self._orphan_checks_remaining:
            return
        known = {(job.pk, job.lease) for job in [*self.pool.jobs, *self._to_release]}
        held = {(job.pk, job.lease): job for job in leases.held_by(self._store, self._worker)}
        unknown = held.keys() - known
        # Only those that were unknown at the last beat, too: the answer of a claim may be on its
        # way.
        orphans = [held[key] for key in unknown & self._orphan_candidates]
        if orphans:
            self.pool.release(orphans)
        self._orphan_candidates = set(unknown)
        # Only now, so that a check that fails is repeated by the next beat.
        self._orphan_checks_remaining -= 1

    def close(self, timeout: timedelta) -> None:
        """Release the jobs that have not started, and wait up to `timeout` for the running ones.

        Then interrupt and release the remaining jobs. A completion whose row is locked also waits
        up to `timeout`.
        """
        stop_at = time.monotonic() + timeout.total_seconds()
        self._to_release += self.pool.drain()
        self._release_and(self.pool.record)
        self._to_release += self.pool.close(timeout)
        self._release_and(partial(self.pool.record_last, stop_at))

    def _release_and(self, record: Callable[[], None]) -> None:
        """Release and record while the worker stops; try twice, because a connection may break."""
        for _ in range(2):
            try:
                self._release()
                record()
            except (DatabaseError, InterfaceError):
                logger.exception("The database is unreachable; jobs of this worker may be rescued")
                self._store.connection.close()
            else:
                return

    def _is_over(self) -> bool:
        if not self.why_ended:
            self.why_ended = self._limit_reached()
        return bool(self.why_ended)

    def _limit_reached(self) -> str:
        limits = self._limits
        age = time.monotonic() - self._started_at
        if self.pool.is_stuck:
            return "a handler does not end, or a thread has ended"
        if limits.parent is not None and os.getppid() != limits.parent:
            return "the first process of the command has ended"
        if limits.max_jobs is not None and self.pool.finished >= limits.max_jobs:
            return "it has reached --max-jobs"
        if limits.max_seconds is not None and age >= limits.max_seconds:
            return "it has reached --max-seconds"
        return ""

    def _work(self) -> timedelta:
        """Claim due jobs, and return how long to sleep."""
        began_at = time.monotonic()
        self.pool.record()
        self._to_release += self.pool.pop_overdue()
        self._release()
        self.pool.unknown_handlers.postpone(self._store.now())
        slots = self._free_slots()
        if slots <= 0:
            self.pool.notify_when_idle()
            return MAX_WAIT_FOR_THREAD
        was_idle = not self.pool.in_flight  # so no job of this worker can schedule another
        selection = self._queue_selector.selection(self.pool.unknown_handlers.names)
        claimed = 0 if self._is_claim_deferred else self._claim(selection, slots, began_at)
        if claimed == slots:
            return timedelta()
        # The sleep is short after a claim that found jobs, and becomes longer while none is found.
        # This polling finds jobs whose NOTIFY was suppressed, and jobs that a worker has released.
        if claimed:
            self._idle_sleep, self._is_claim_deferred = MIN_SLEEP, True
            return self._idle_sleep  # the threads start the claimed jobs first
        if not self._is_claim_deferred:
            # The claim found no job. If one is due, its queue may have been paused.
            self._queue_selector.invalidate()
        next_due = self._store.next_due(selection)
        now = self._store.now()  # read after the query, which takes long on a distant server
        # A job that the last claim looked for, and did not find, cannot be claimed now.
        if next_due is not None and self._tried_until < next_due <= now + self._lookahead.length:
            self._is_claim_deferred = False
            return timedelta()
        self._idle_sleep = min(BACKOFF_FACTOR * self._idle_sleep, self._max_sleep)
        if self._limits.burst and was_idle and (next_due is None or next_due > now):
            self.stop("nothing is due")
        return self._sleep_until(next_due, now)

    @property
    def _tried_until(self) -> datetime:
        return NEVER if self._is_claim_deferred else self._claimed_until

    def _claim(self, selection: Selection, slots: int, began_at: float) -> int:
        store, lookahead = self._store, self._lookahead
        lookahead.record_round_trip(store.round_trip, store.claim_round_trips)
        self._claimed_until = at = store.now() + lookahead.length
        jobs = store.claim(self._worker, selection, at=at, limit=slots)
        if jobs:
            # Including the work before the claim: completions, releases, and the paused queues.
            lookahead.record_claim(time.monotonic() - began_at)
        self.pool.supply_time = lookahead.supply_time
        self.pool.put(jobs)
        self._claimed += len(jobs)
        return len(jobs)

    def _free_slots(self) -> int:
        slots, max_jobs = self.pool.free_slots(), self._limits.max_jobs
        return slots if max_jobs is None else min(slots, max_jobs - self._claimed)

    def _sleep_until(self, next_due: datetime | None, now: datetime) -> timedelta:
        sleep = min(self._idle_sleep, self._queue_selector.max_sleep)
        sleep = min(sleep, MAX_WAIT_FOR_THREAD) if self.pool.in_flight else sleep
        claim_at = now + self._lookahead.length
        if next_due is not None and next_due > claim_at:
            until_due = next_due - claim_at
            self._is_claim_deferred = until_due > sleep
            return min(sleep, until_due)
        self._is_claim_deferred = next_due is None
        return sleep

    def _release(self) -> None:
        if self._to_release:
            self.pool.release(self._to_release)
            self._claimed -= len(self._to_release)
            self._to_release = []
