"""Several worker processes, each replaced when it ends before its time."""

import logging
import math
import multiprocessing
import os
import signal
import sys
import time
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess

from django.db import connections

from django_future.store.pooling import close_pools
from django_future.worker.process import Options, run_worker
from django_future.worker.shutdown import (
    DONE,
    RECYCLE,
    bound_of,
    log_immediate_exit,
)
from django_future.worker.stop_signals import STOP_SIGNALS, StopRequest, StopSignals

logger = logging.getLogger("django_future")

CRASH_LOOP_SECONDS = (
    5.0  # seconds; a process that lives no longer died of something that is still there
)
KILL_SECONDS = 4.0  # for a process that has not ended within its own bound
INITIAL_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = (
    0.5,
    30.0,
)  # seconds before the next one is started in its place


@dataclass
class _Slot:
    """What one process after the other fills."""

    options: Options
    process: ForkProcess | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    pause: float = INITIAL_BACKOFF_SECONDS
    is_done: bool = False
    is_told_to_stop: bool = False


class Supervisor:
    """Keeps `count` processes running until they are done, or told to stop."""

    def __init__(self, options: Options, count: int, signals: StopSignals) -> None:
        limits = replace(options.limits, parent=os.getpid())
        self._places = [_Slot(replace(options, limits=limits)) for _ in range(count)]
        self._signals = signals
        self._request = StopRequest()
        self._bound_seconds = bound_of(options.shutdown_timeout).total_seconds() + KILL_SECONDS
        self._kill_at = math.inf
        self._has_killed = False

    def run(self) -> int:
        """Run the processes, and return an exit code."""
        # A process must not inherit one.
        connections.close_all()
        close_pools()
        while not all(place.is_done for place in self._places):
            for place in self._places:
                self._check(place)
            processes = [place.process.sentinel for place in self._places if place.process]
            wait([*processes, self._signals.fileno()], timeout=0.2)
            for number in self._signals.read(0):
                if self._request.note(number):
                    return self._end_at_once(number)
                self._kill_at = min(self._kill_at, time.monotonic() + self._bound_seconds)
        return RECYCLE if self._has_killed else DONE

    def _check(self, place: _Slot) -> None:
        if place.process is not None and place.process.exitcode is not None:
            self._reap(place, place.process.exitcode)
        if place.process is not None:
            self._pass_signal_on(place.process, place)
        if place.process is None and self._request.is_made:
            place.is_done = True
        if place.process is None and not place.is_done and time.monotonic() >= place.start_at:
            place.process = _start(place.options)
            place.is_told_to_stop = False
            place.started_at = time.monotonic()

    def _reap(self, place: _Slot, exit_code: int) -> None:
        place.process = None
        place.is_done = exit_code == DONE
        is_too_soon = time.monotonic() - place.started_at < CRASH_LOOP_SECONDS
        if exit_code == DONE or self._request.is_made or (exit_code == RECYCLE and not is_too_soon):
            return
        place.pause = (
            min(2 * place.pause, MAX_BACKOFF_SECONDS) if is_too_soon else INITIAL_BACKOFF_SECONDS
        )
        place.start_at = time.monotonic() + place.pause
        logger.error("A worker process ended with %s; starting another", exit_code)

    def _pass_signal_on(self, process: ForkProcess, place: _Slot) -> None:
        # Only the first, and that once: a process may have it from the terminal already, and when a
        # copy arrives says nothing about when it was sent. One that was being started as a signal
        # arrived gets it now.
        if self._request.first is not None and not place.is_told_to_stop:
            place.is_told_to_stop = True
            if process.pid is not None:
                os.kill(process.pid, self._request.first)
        if time.monotonic() >= self._kill_at:
            logger.critical("Worker process %s does not end and is killed", process.pid)
            process.kill()
            self._has_killed = True

    def _end_at_once(self, number: int) -> int:
        for place in self._places:
            if place.process is not None:
                place.process.kill()
        log_immediate_exit(number)
        return 128 + number


def _start(options: Options) -> ForkProcess:
    # Until the child receives signals of its own, they wait for that.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        process = multiprocessing.get_context("fork").Process(target=_run, args=(options,))
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return process


def _run(options: Options) -> None:
    signals = StopSignals()
    signals.receive()
    exit_code = run_worker(options, signals)
    signals.ignore()
    sys.exit(exit_code)
