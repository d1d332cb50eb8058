"""One worker process, from its first sign of life to its last job."""

import math
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event, Lock, Thread, current_thread, main_thread
from types import FrameType
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from django_future import maintenance
from django_future.models import Worker
from django_future.store import EVERYTHING, Selection, Store, store_for
from django_future.store.registry import register
from django_future.worker.heartbeat import heartbeat, new_worker
from django_future.worker.loop import UNLIMITED, Limits, Loop
from django_future.worker.reload import CHANGED, stopped_by_changes

ONE_SIGNAL = 1.0  # seconds in which a terminal and a supervisor may both send what is meant once
MOST_SESSIONS = 100
DONE, RECYCLE = 0, 75  # exit codes: all is done; start another in this one's place


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a worker process works."""

    alias: str
    threads: int = 4
    selection: Selection = EVERYTHING
    poll_interval: timedelta | None = None
    shutdown_timeout: timedelta = timedelta(seconds=25)
    limits: Limits = UNLIMITED
    name: str = ""
    heartbeat_file: Path | None = None
    max_jobs_per_process: int | None = None
    max_rss: int | None = None  # MiB


def run_worker(options: Options) -> int:
    """Run jobs until told to stop, or one of the limits is reached, and return an exit code."""
    store = store_for(options.alias)
    worker = new_worker(options.name, options.selection.describe())
    loop = _loop(store, worker, options)
    is_worn_out = Event()

    def on_beat() -> None:
        maintenance.rescue(store)
        maintenance.expire(store, store.now())
        loop.release_forgotten()
        loop.doubt_pauses()
        worker.running = loop.pool.running
        if options.heartbeat_file is not None:
            options.heartbeat_file.touch()
        if _has_done_enough(loop.pool.finished, options):
            is_worn_out.set()
            loop.stop()

    def on_later_beat() -> None:
        on_beat()
        # Last, and not when a worker starts: nothing waits for it.
        maintenance.prune(store)

    with (
        _stopped_by_signals(loop.stop),
        heartbeat(store, worker, on_later_beat),
        _sessions_known(store, worker),
        _woken_by_hints(store, loop.wakeup),
        stopped_by_changes(loop.stop) as has_changed,
    ):
        on_beat()
        loop.run()
        loop.close(options.shutdown_timeout)
    if has_changed.is_set():
        return CHANGED
    return RECYCLE if is_worn_out.is_set() or loop.pool.is_stuck else DONE


def _loop(store: Store, worker: Worker, options: Options) -> Loop:
    return Loop(
        store,
        worker,
        threads=options.threads,
        selection=options.selection,
        poll_interval=options.poll_interval,
        limits=options.limits,
    )


def _has_done_enough(finished: int, options: Options) -> bool:
    if options.max_jobs_per_process is not None and finished >= options.max_jobs_per_process:
        return True
    return options.max_rss is not None and _peak_rss() >= options.max_rss


def _peak_rss() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 2**20 if sys.platform == "darwin" else peak // 2**10


@contextmanager
def _stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Stop on the first signal; on the second exit now, and leave the jobs to be rescued."""
    if current_thread() is not main_thread():
        yield
        return
    stopped_at = math.inf

    def handle(number: int, _: FrameType | None) -> None:
        nonlocal stopped_at
        if time.monotonic() - stopped_at > ONE_SIGNAL:
            os._exit(128 + number)
        stopped_at = min(stopped_at, time.monotonic())
        stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _woken_by_hints(store: Store, wakeup: Callable[[], None]) -> Iterator[None]:
    stopped = Event()
    thread = Thread(target=store.watch, args=(wakeup, stopped), name="watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


@contextmanager
def _sessions_known(store: Store, worker: Worker) -> Iterator[None]:
    """Keep on the worker's row which sessions to end should it be lost."""

    lock = Lock()

    def note(*, connection: BaseDatabaseWrapper, **_: Any) -> None:
        number = store.session_id() if connection is store.connection else None
        if number is not None:
            with lock:
                worker.sessions = [*worker.sessions, number][-MOST_SESSIONS:]
            register(store, worker)

    note(connection=store.connection)
    connection_created.connect(note)
    try:
        yield
    finally:
        connection_created.disconnect(note)
