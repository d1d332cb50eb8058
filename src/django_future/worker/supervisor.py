"""Several worker processes; each one that ends unexpectedly is replaced."""

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
from django_future.worker.process import WorkerOptions, run_worker
from django_future.worker.shutdown import (
    DONE,
    RECYCLE,
    log_immediate_exit,
    max_shutdown_duration,
)
from django_future.worker.stop_signals import STOP_SIGNALS, StopRequest, StopSignals

logger = logging.getLogger("django_future")

CRASH_LOOP_SECONDS = 5.0  # the backoff grows if a process has lived for less
KILL_SECONDS = 4.0  # after the time within which a process must end by itself
INITIAL_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.5, 30.0  # before a process is replaced


@dataclass
class _Slot:
    """The place of one process, which another one takes when it ends."""

    options: WorkerOptions
    process: ForkProcess | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    pause: float = INITIAL_BACKOFF_SECONDS
    is_done: bool = False
    is_stop_sent: bool = False


class Supervisor:
    """Keeps `count` processes running until they are done or stopped."""

    def __init__(self, options: WorkerOptions, count: int, signals: StopSignals) -> None:
        limits = replace(options.limits, parent=os.getpid())
        self._slots = [_Slot(replace(options, limits=limits)) for _ in range(count)]
        self._signals = signals
        self._request = StopRequest()
        seconds = max_shutdown_duration(options.shutdown_timeout).total_seconds()
        self._max_stop_seconds = seconds + KILL_SECONDS
        self._kill_at = math.inf
        self._has_killed = False

    def run(self) -> int:
        """Run the processes, and return an exit code."""
        # The processes must not inherit connections.
        connections.close_all()
        close_pools()
        while not all(slot.is_done for slot in self._slots):
            for slot in self._slots:
                self._check(slot)
            processes = [slot.process.sentinel for slot in self._slots if slot.process]
            wait([*processes, self._signals.fileno()], timeout=0.2)
            for number in self._signals.read(0):
                if self._request.add(number):
                    return self._end_at_once(number)
                self._kill_at = min(self._kill_at, time.monotonic() + self._max_stop_seconds)
        return RECYCLE if self._has_killed else DONE

    def _check(self, slot: _Slot) -> None:
        if slot.process is not None and slot.process.exitcode is not None:
            self._reap(slot, slot.process.exitcode)
        if slot.process is not None:
            self._stop_if_requested(slot.process, slot)
        if slot.process is None and self._request.is_made:
            slot.is_done = True
        if slot.process is None and not slot.is_done and time.monotonic() >= slot.start_at:
            slot.process = _start(slot.options)
            slot.is_stop_sent = False
            slot.started_at = time.monotonic()

    def _reap(self, slot: _Slot, exit_code: int) -> None:
        slot.process = None
        slot.is_done = exit_code == DONE
        is_too_soon = time.monotonic() - slot.started_at < CRASH_LOOP_SECONDS
        if exit_code == DONE or self._request.is_made or (exit_code == RECYCLE and not is_too_soon):
            return
        slot.pause = (
            min(2 * slot.pause, MAX_BACKOFF_SECONDS) if is_too_soon else INITIAL_BACKOFF_SECONDS
        )
        slot.start_at = time.monotonic() + slot.pause
        logger.error(
            "A worker process ended with exit code %s; starting another in %.1f s",
            exit_code,
            slot.pause,
        )

    def _stop_if_requested(self, process: ForkProcess, slot: _Slot) -> None:
        # Each process gets one signal, also one that started while the signal arrived. A process
        # that received it from the terminal, too, ignores the copy, as `Shutdown` says.
        if self._request.first is not None and not slot.is_stop_sent:
            slot.is_stop_sent = True
            if process.pid is not None:
                os.kill(process.pid, self._request.first)
        if time.monotonic() >= self._kill_at:
            logger.critical("Worker process %s does not end and is killed", process.pid)
            process.kill()
            self._has_killed = True

    def _end_at_once(self, number: int) -> int:
        for slot in self._slots:
            if slot.process is not None:
                slot.process.kill()
        log_immediate_exit(number)
        return 128 + number


def _start(options: WorkerOptions) -> ForkProcess:
    # Signals to the child stay pending until it can receive them.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        process = multiprocessing.get_context("fork").Process(target=_run, args=(options,))
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return process


def _run(options: WorkerOptions) -> None:
    signals = StopSignals()
    signals.receive()
    exit_code = run_worker(options, signals)
    signals.ignore()
    sys.exit(exit_code)
