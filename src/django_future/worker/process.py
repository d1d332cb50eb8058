"""One worker process, from its first heartbeat to its exit code."""

import gc
import logging
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from signal import SIGINT
from threading import Event

from django_future import clock
from django_future.conf import config
from django_future.exceptions import DatabaseReplaced
from django_future.options import DEFAULT_THREADS
from django_future.scheduling.declared import synchronise
from django_future.scheduling.runs import LEAD, Materialiser
from django_future.service_thread import ServiceThread
from django_future.store import EVERYTHING, Selection, failure_notes, store_for
from django_future.store.pooling import dedicated_connection
from django_future.worker import maintenance
from django_future.worker.heartbeat import heartbeat, new_worker
from django_future.worker.housekeeping import Chore, do_chores
from django_future.worker.journal import Journal
from django_future.worker.loop import UNLIMITED, Limits, Loop
from django_future.worker.punctuality import Punctuality
from django_future.worker.reload import CHANGED, stopped_by_changes
from django_future.worker.sessions import MAX_SESSIONS, sessions_recorded
from django_future.worker.shutdown import DONE, RECYCLE, max_shutdown_duration, stopped_in_time
from django_future.worker.stop_signals import StopSignals

logger = logging.getLogger("django_future")

MAX_EXPIRY_SECONDS = MAX_RESCUE_SECONDS = 5.0  # in each round of housekeeping
# A note may lose its last job in any process, also without pruning, so a worker looks for them.
PRUNE_NOTES_SECONDS = 3600.0
RECONNECT_SECONDS = 5.0  # before the next attempt to listen for new jobs


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """The options of a worker process."""

    alias: str
    threads: int = DEFAULT_THREADS
    selection: Selection = EVERYTHING
    poll_interval: timedelta | None = None
    shutdown_timeout: timedelta = timedelta(seconds=25)
    limits: Limits = UNLIMITED
    name: str = ""
    heartbeat_file: Path | None = None
    max_jobs_per_process: int | None = None
    max_rss: int | None = None  # MiB


def run_worker(options: WorkerOptions, signals: StopSignals | None = None) -> int:
    """Execute jobs until the worker is stopped or reaches a limit, and return an exit code.

    With `signals`, which this process receives, the process ends soon after this returns, even if
    another thread hangs.
    """
    return _WorkerProcess(options).run(signals)


class _WorkerProcess:
    """A worker and the service threads that it needs."""

    def __init__(self, options: WorkerOptions) -> None:
        self._options = options
        self._store = store_for(options.alias)
        self._worker = new_worker(options.name, options.selection, options.threads)
        self._loop = Loop(
            self._store,
            self._worker,
            threads=options.threads,
            selection=options.selection,
            poll_interval=options.poll_interval,
            limits=options.limits,
            on_death=self._on_death,
        )
        self._punctuality = Punctuality()
        self._materialiser = Materialiser(self._store)
        self._journal = Journal(self._store, self._worker, self._loop.pool)
        self._must_recycle = self._has_died = self._has_declared = False
        self._beats_without_progress = 0
        self._prune_notes_at = 0.0

    def run(self, signals: StopSignals | None) -> int:
        loop, store, worker, options = self._loop, self._store, self._worker, self._options
        limit = max_shutdown_duration(options.shutdown_timeout)
        is_supervised = options.limits.parent is not None
        with stopped_in_time(
            loop.stop, limit, signals, is_supervised=is_supervised
        ) as self._shutdown:
            with (
                dedicated_connection(options.alias),
                heartbeat(
                    store, worker, self._on_beat, self._chores(), self._on_death, self._materialise
                ),
                sessions_recorded(store, worker, limit=options.threads + MAX_SESSIONS),
                ServiceThread("listen", self._listen, self._on_death),
                stopped_by_changes(loop.stop, self._on_death) as has_changed,
            ):
                # All chores except the last, which prunes: the first jobs need not wait for it.
                do_chores(store, self._chores()[:-1], Event())
                self._on_beat()
                self._journal.start(options.selection, options.threads)
                with _loaded_objects_frozen():
                    loop.run()
                self._shutdown.begin()
                self._end_jobs()
            exit_code = CHANGED if has_changed.is_set() else self._exit_code()
            self._journal.end(loop.why_ended, exit_code, is_failure=self._is_broken)
            self._shutdown.complete(exit_code)
        return exit_code

    def _end_jobs(self) -> None:
        timeout, number = self._options.shutdown_timeout, self._shutdown.request.first
        again = "press CONTROL-C again" if number == SIGINT else "send a second signal"
        how_to_stop_now = "" if number is None else f"; {again} to stop at once"
        self._journal.stop(self._loop.why_ended, timeout, how_to_stop_now)
        with self._journal.waiting(timeout):
            self._loop.close(timeout)
        maintenance.write_statistics(self._store)

    @property
    def _is_broken(self) -> bool:
        return self._has_died or self._loop.pool.is_stuck

    def _exit_code(self) -> int:
        return RECYCLE if self._must_recycle or self._is_broken else DONE

    def _chores(self) -> list[Chore]:
        store, loop = self._store, self._loop

        def rescue() -> None:
            if self._options.limits.burst:
                maintenance.rescue_once(store)
            elif self._punctuality.may_rescue():
                maintenance.rescue(store, seconds=MAX_RESCUE_SECONDS)

        def expire() -> None:
            maintenance.expire(store, store.now(), seconds=MAX_EXPIRY_SECONDS)

        def prune() -> None:
            maintenance.prune(store)
            if time.monotonic() >= self._prune_notes_at:
                self._prune_notes_at = time.monotonic() + PRUNE_NOTES_SECONDS
                failure_notes.prune(store)

        def write_statistics() -> None:
            maintenance.write_statistics(store)

        return [
            self._declare, rescue, expire, loop.release_orphaned_claims, write_statistics, prune,
        ]  # fmt: skip

    def _declare(self) -> None:
        if self._has_declared:
            return
        synchronise(self._store.alias)
        self._has_declared = True  # only now, so that it is repeated if it fails
        self._materialise()  # so that a worker that ends with the due jobs runs these, too

    def _materialise(self) -> float:
        now = self._store.now()
        lead = timedelta() if self._options.limits.burst else LEAD
        again_at = self._materialiser.work(now, lead)
        return time.monotonic() + (again_at - now).total_seconds()

    def _on_beat(self) -> None:
        self._punctuality.record_beat(clock.from_row(self._worker.seen_at))
        self._loop.refresh_paused_queues()
        if why := _why_recycle(self._loop.pool.finished, self._options):
            self._must_recycle = True
            self._loop.stop(why)
        why_no_progress = self._loop.why_no_progress(config().HEARTBEAT)
        self._beats_without_progress = self._beats_without_progress + 1 if why_no_progress else 0
        # After 1, 2, 4, 8... beats, so that the log does not fill up.
        if why_no_progress and self._beats_without_progress.bit_count() == 1:
            logger.error("This worker can run no job: %s", why_no_progress)
        if not why_no_progress and self._options.heartbeat_file is not None:
            self._options.heartbeat_file.touch()

    def _on_death(self, thread_name: str) -> None:
        self._has_died = True
        self._shutdown.begin()
        self._loop.stop(f"its thread {thread_name!r} has ended")

    def _listen(self, stopped: Event) -> None:
        while not stopped.is_set():
            try:
                self._store.listen(self._loop.wakeup, stopped)
            except DatabaseReplaced:
                raise  # so that this process ends: its connections belong to the old database
            except Exception:
                logger.exception(
                    "Listening for new jobs failed, so the worker polls; trying again in %.0f s",
                    RECONNECT_SECONDS,
                )
                stopped.wait(RECONNECT_SECONDS)


@contextmanager
def _loaded_objects_frozen() -> Iterator[None]:
    """Exclude the objects that exist now, such as imported code, from garbage collection."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _why_recycle(finished: int, options: WorkerOptions) -> str:
    if options.max_jobs_per_process is not None and finished >= options.max_jobs_per_process:
        return "it has reached --max-jobs-per-process"
    if options.max_rss is not None and (used := _peak_rss()) >= options.max_rss:
        return f"it has used {used:,} MiB, and --max-rss allows {options.max_rss:,}"
    return ""


def _peak_rss() -> int:
    """Return the maximum memory that this process has used, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 2**20 if sys.platform == "darwin" else peak // 2**10
