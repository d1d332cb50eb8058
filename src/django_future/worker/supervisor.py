"""Several worker processes, each replaced when it ends before its time."""

import logging
import multiprocessing
import os
import signal
import sys
import time
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from types import FrameType

from django.db import connections

from django_future.worker.process import DONE, RECYCLE, Options, run_worker

logger = logging.getLogger("django_future")

SIGNALS = (signal.SIGTERM, signal.SIGINT)
TOO_SOON = 5.0  # seconds; a process that lives no longer died of something that is still there
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds before the next one is started in its place


@dataclass
class _Place:
    """What one process after the other fills."""

    options: Options
    process: ForkProcess | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    pause: float = FIRST_PAUSE
    is_done: bool = False


class Supervisor:
    """Keeps `count` processes running until they are done, or told to stop."""

    def __init__(self, options: Options, count: int) -> None:
        limits = replace(options.limits, parent=os.getpid())
        self._places = [_Place(replace(options, limits=limits)) for _ in range(count)]
        self._is_stopping = False

    def run(self) -> int:
        """Run the processes, and return an exit code."""
        connections.close_all()  # a process must not inherit one
        for number in SIGNALS:
            signal.signal(number, self._stop)
        while not all(place.is_done for place in self._places):
            for place in self._places:
                self._tend(place)
            wait([place.process.sentinel for place in self._places if place.process], timeout=0.2)
        return DONE

    def _tend(self, place: _Place) -> None:
        if place.process is not None and place.process.exitcode is not None:
            self._bury(place, place.process.exitcode)
        if place.process is None and self._is_stopping:
            place.is_done = True
        if place.process is None and not place.is_done and time.monotonic() >= place.start_at:
            place.process = _start(place.options)
            place.started_at = time.monotonic()

    def _bury(self, place: _Place, exit_code: int) -> None:
        place.process = None
        place.is_done = exit_code == DONE
        if exit_code in {DONE, RECYCLE} or self._is_stopping:
            return
        age = time.monotonic() - place.started_at
        place.pause = min(2 * place.pause, LONGEST_PAUSE) if age < TOO_SOON else FIRST_PAUSE
        place.start_at = time.monotonic() + place.pause
        logger.error("A worker process ended with %s; starting another", exit_code)

    def _stop(self, number: int, _: FrameType | None) -> None:
        # The processes know what a first and a second signal mean.
        self._is_stopping = True
        for place in self._places:
            if place.process is not None and place.process.pid is not None:
                os.kill(place.process.pid, number)


def _start(options: Options) -> ForkProcess:
    # Until the child has handlers of its own, a signal to it would run the supervisor's.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        process = multiprocessing.get_context("fork").Process(target=_run, args=(options, before))
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return process


def _run(options: Options, mask: set[signal.Signals]) -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    sys.exit(run_worker(options))
