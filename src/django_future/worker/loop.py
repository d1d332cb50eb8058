"""What a worker does over and over: claim, hand out, sleep until there is more."""

import logging
import os
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import DatabaseError, InterfaceError

from django_future.models import ScheduledJob, Worker
from django_future.service_thread import OnDeath, ignore_death
from django_future.store import EVERYTHING, Selection, Store, leases, transitions
from django_future.worker.lookahead import Lookahead
from django_future.worker.pool import MAX_WAIT_FOR_THREAD, Pool
from django_future.worker.queue_selector import QueueSelector
from django_future.worker.wakeup import Wakeup

logger = logging.getLogger("django_future")

ORPHAN_CHECKS = 3  # heartbeats after the database was away
MIN_SLEEP = timedelta(milliseconds=5)
BACKOFF_FACTOR = 4  # of the sleep, each time there was nothing to do
INITIAL_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = (
    0.1,
    5.0,
)  # seconds between attempts to reach a database that is away


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What ends a worker of its own accord.

    With `burst` it is that nothing is due, with `parent` that this process is no longer its child.
    """

    parent: int | None = None
    burst: bool = False
    max_jobs: int | None = None
    max_seconds: float | None = None


UNLIMITED = Limits()


class Loop:
    """Keeps the threads of one process in work, until it is told to stop or has done enough."""

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
        self._longest_sleep = max(poll_interval or store.poll_interval, MIN_SLEEP)
        self._idle_sleep = MIN_SLEEP
        self._is_looking = False  # whether there is a job to claim, before a claim is tried
        self._limits = limits
        self._claimed = 0
        self._to_release: list[ScheduledJob] = []
        self._orphan_checks_remaining = 0
        self._orphan_candidates: set[tuple[int, int]] = set()
        self.why_ended = ""
        self._working_since: float | None = None  # without having got an answer
        self._started_at = time.monotonic()

    def stop(self, why: str = "it was told to stop") -> None:
        """Claim no more, and return from `run`. May be called from anywhere."""
        self.why_ended = self.why_ended or why
        self.wakeup()

    def why_no_progress(self, patience: timedelta) -> str:
        """Return what keeps this worker from running any job, for longer than `patience`."""
        working_since = self._working_since
        if working_since is not None:
            seconds = time.monotonic() - working_since
            if seconds > patience.total_seconds():
                return f"its database has not answered a claim for {seconds:.0f} s"
        if not self.pool.can_run and time.monotonic() - self._started_at > patience.total_seconds():
            return "none of its threads gets a connection to the database"
        return ""

    def refresh_paused_queues(self) -> None:
        """Read anew which queues are paused, at the next look; for each heartbeat."""
        self._queue_selector.invalidate()

    def run(self) -> None:
        """Unset the threads in work."""
        self.pool.start()
        pause = INITIAL_BACKOFF_SECONDS
        while not self._is_over():
            try:
                if self._working_since is None:
                    self._working_since = time.monotonic()
                sleep = self._work()
            except (DatabaseError, InterfaceError):
                logger.exception("The database is away; trying again in %.1f s", pause)
                self._orphan_checks_remaining = ORPHAN_CHECKS
                self.refresh_paused_queues()
                self._store.connection.close()
                self.wakeup.wait(pause)
                pause = min(2 * pause, MAX_BACKOFF_SECONDS)
            else:
                self._working_since = None
                pause = INITIAL_BACKOFF_SECONDS
                if self.wakeup.wait(sleep.total_seconds()):
                    self._is_looking = False
                    if not self._store.notices_every_commit:
                        self._idle_sleep = MIN_SLEEP

    def release_orphaned_claims(self) -> None:
        """Release jobs that this worker claimed without hearing of it; for each heartbeat.

        It happens when the connection breaks after a claim was committed, before it was answered.
        """
        if not self._orphan_checks_remaining:
            return
        self._orphan_checks_remaining -= 1
        known = {(job.pk, job.lease) for job in [*self.pool.jobs, *self._to_release]}
        held = {(job.pk, job.lease): job for job in leases.held_by(self._store, self._worker)}
        unknown = held.keys() - known
        # Only what was not known at the last heartbeat either: a claim may be on its way just now.
        for key in unknown & self._orphan_candidates:
            transitions.release(self._store, held[key])
        self._orphan_candidates = set(unknown)

    def close(self, timeout: timedelta) -> None:
        """Release what has not started; let the rest end, for so long, and release what is left."""
        try:
            self._to_release += self.pool.drain()
            self._release()
            self.pool.record()
            self._to_release += self.pool.close(timeout)
            self._release()
            self.pool.record()
        except (DatabaseError, InterfaceError):
            logger.exception("The database is away; what this worker held will be rescued")

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
            return "it has run as many jobs as --max-jobs says"
        if limits.max_seconds is not None and age >= limits.max_seconds:
            return "it has run for as long as --max-seconds says"
        return ""

    def _work(self) -> timedelta:
        """Claim what is due, and return for how long there will be nothing more to do."""
        began_at = time.monotonic()
        self.pool.record()
        self._to_release += self.pool.pop_overdue()
        self._release()
        self.pool.unknown_handlers.postpone(self._store.now())
        room = self._free_slots()
        if room <= 0:
            self.pool.notify_when_idle()
            return MAX_WAIT_FOR_THREAD
        was_idle = not self.pool.in_flight  # and so nothing of ours can schedule more
        selection = self._queue_selector.selection(self.pool.unknown_handlers.names)
        claimed = 0 if self._is_looking else self._claim(selection, room, began_at)
        if claimed == room:
            return timedelta()
        # Soon again while there is something to do, then ever less often. It is how a hint that was
        # swallowed by the one before it, and a job that another worker lets go, are found.
        if claimed:
            self._idle_sleep, self._is_looking = MIN_SLEEP, True
            # Nothing keeps the threads from starting these at once; what is next can wait.
            return self._idle_sleep
        if not self._is_looking:
            self._queue_selector.invalidate()  # what seemed due may be paused
        next_due = self._store.next_due(selection)
        now = self._store.now()  # which is later now, on a server that is far away
        if self._is_looking and next_due is not None and next_due <= now + self._lookahead.length:
            self._is_looking = False
            return timedelta()
        self._idle_sleep = min(BACKOFF_FACTOR * self._idle_sleep, self._longest_sleep)
        if self._limits.burst and was_idle and (next_due is None or next_due > now):
            self.stop("nothing is due")
        return self._sleep_until(next_due, now)

    def _claim(self, selection: Selection, room: int, began_at: float) -> int:
        store, lookahead = self._store, self._lookahead
        lookahead.note_distance(store.round_trip, store.claim_round_trips)
        at = store.now() + lookahead.length
        jobs = store.claim(self._worker, selection, at=at, limit=room)
        if jobs:
            # With what comes before a claim: ends to record, jobs to release, a look at the pauses.
            lookahead.note_claim(time.monotonic() - began_at)
        self.pool.supply_time = lookahead.supply
        self.pool.put(jobs)
        self._claimed += len(jobs)
        return len(jobs)

    def _free_slots(self) -> int:
        room, most = self.pool.free_slots(), self._limits.max_jobs
        return room if most is None else min(room, most - self._claimed)

    def _sleep_until(self, next_due: datetime | None, now: datetime) -> timedelta:
        sleep = min(self._idle_sleep, self._queue_selector.longest_sleep)
        sleep = min(sleep, MAX_WAIT_FOR_THREAD) if self.pool.in_flight else sleep
        claim_at = now + self._lookahead.length
        if next_due is not None and next_due > claim_at:
            until_due = next_due - claim_at
            self._is_looking = until_due > sleep
            return min(sleep, until_due)
        self._is_looking = next_due is None
        return sleep

    def _release(self) -> None:
        while self._to_release:
            transitions.release(self._store, self._to_release[-1])
            self._to_release.pop()
            self._claimed -= 1
