"""A trial of recurring jobs: while workers are disrupted, each instant runs exactly once."""

import signal
import sqlite3
import time
from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from subprocess import Popen

from django.db import connection, transaction

from django_future import RecurringJob, ScheduledJob, clock, job_as_parameter, schedule_recurring
from django_future.models import Worker
from django_future.status import Status
from django_future.store import store_for
from tests.chaos.crew import HEARTBEAT_SECONDS, Crew
from tests.chaos.disruptor import MAX_FREEZE_SECONDS, MIN_FREEZE_SECONDS
from tests.shop.models import Trace
from tests.support.waiting import eventually

START_SECONDS = 5.0  # until the first instant, so that the recurring jobs exist before it
MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 1.0, 4.0  # between two disruptions
CALM_SECONDS = 120.0  # every run must end in this time after the last instant
TICK_SECONDS = 0.05
PROBE_SECONDS = 0.2  # longer than any running process holds SQLite's write lock


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The parameters of a trial. A seed repeats the order of the disruptions.

    With `is_deleting`, workers delete the jobs that are complete.
    """

    seed: int
    schedules: int = 200
    workers: int = 10
    seconds: int = 60
    is_deleting: bool = False


@dataclass(frozen=True)
class Run:
    """One execution of the handler."""

    recurring_id: int
    instant: datetime
    started_at: datetime
    pid: int  # of its worker
    claims: int  # more than one if its first worker was killed or stopped

    @property
    def late(self) -> float:
        """How many seconds after its instant it started."""
        return (self.started_at - self.instant).total_seconds()


@dataclass
class Trial:
    """What happened in a trial: it has passed if there are no faults."""

    expected: int
    undisturbed: list[Run]
    disturbed: list[Run]  # a worker was killed or stopped, or suspended between instant and start
    disruptions: Counter[str]
    processes: int
    faults: list[str]

    @property
    def counts(self) -> Counter[tuple[int, datetime]]:
        """How often each instant of each recurring job ran."""
        return Counter((run.recurring_id, run.instant) for run in self.undisturbed + self.disturbed)


@job_as_parameter
def leave_instant(job):
    """Write a trace of the run, in the transaction of its job."""
    started_at = clock.now()
    pid = job.worker.rsplit("-", 2)[1]
    job.refresh_from_db(fields=["recurring", "recurs_at"])  # in one query
    words = [job.recurring_id, job.recurs_at.timestamp(), started_at.timestamp(), pid, job.lease]
    Trace.objects.create(text=" ".join(map(str, words)))


def run(plan: Plan, log: Path) -> Trial:
    """Run a trial on a database without jobs. The workers write to `log`."""
    chance = Random(f"disruptions {plan.seed}")
    environment = {"TEST_IMPORT": "tests.chaos.deletion"} if plan.is_deleting else {}
    with ExitStack() as stack:
        crew = stack.enter_context(Crew(plan.workers, log, environment))
        eventually(lambda: Worker.objects.count() == plan.workers)
        last = _schedule(plan)
        disruptor = RecurringDisruptor(crew, chance)
        while store_for("default").now() < last:
            crew.tend()
            disruptor.act()
            time.sleep(TICK_SECONDS)
        _calm_down(crew)
        remaining = crew.dismiss()
    runs = read_runs()
    disturbed = {run for run in runs if run.claims > 1 or disruptor.has_disturbed(run)}
    faults = [f"{remaining} workers did not stop after SIGTERM"] if remaining else []
    return Trial(
        plan.schedules * plan.seconds,
        [run for run in runs if run not in disturbed],
        [run for run in runs if run in disturbed],
        disruptor.disruptions,
        crew.started,
        [*faults, *_faults(runs, plan.seconds)],
    )


def read_runs() -> list[Run]:
    """Return the runs of `leave_instant`."""
    return [_run_of(text) for text in Trace.objects.values_list("text", flat=True)]


def _schedule(plan: Plan) -> datetime:
    """Create the recurring jobs, and return the time of the last run."""
    first = store_for("default").now() + timedelta(seconds=START_SECONDS)
    length = timedelta(seconds=plan.seconds - 1)
    with transaction.atomic():
        for number in range(plan.schedules):
            # Spread over the second, so that lateness is not the time that all runs take.
            starts_at = first + timedelta(seconds=number / plan.schedules)
            schedule_recurring(
                f"recurring {number}", leave_instant, every="1s", starts_at=starts_at,
                ends_at=starts_at + length,
            )  # fmt: skip
    return starts_at + length


def _calm_down(crew: Crew) -> None:
    """Wait until all runs have ended."""
    crew.thaw()
    deadline = time.monotonic() + CALM_SECONDS
    while time.monotonic() < deadline and (_unfinished() or not crew.is_complete):
        crew.tend()
        time.sleep(TICK_SECONDS)


def _unfinished() -> bool:
    waiting = ScheduledJob.objects.exclude(status__in=Status.final())
    return waiting.exists() or RecurringJob.objects.filter(next_run_at__isnull=False).exists()


def _run_of(text: str) -> Run:
    recurring_id, instant, started_at, pid, claims = text.split()
    return Run(
        int(recurring_id),
        datetime.fromtimestamp(float(instant), UTC),
        datetime.fromtimestamp(float(started_at), UTC),
        int(pid),
        int(claims),
    )


def _faults(found: list[Run], seconds: int) -> list[str]:
    rows = list(RecurringJob.objects.all())
    expected = Counter(
        (row.pk, clock.from_row(row.anchor_at) + timedelta(seconds=number))
        for row in rows
        for number in range(seconds)
    )
    actual = Counter((run.recurring_id, run.instant) for run in found)
    return [
        *(f"recurring job {pk} did not run at {at}" for pk, at in expected - actual),
        *(f"recurring job {pk} ran once too often at {at}" for pk, at in actual - expected),
        *(f"{row.name} counts {row.runs} runs" for row in rows if row.runs != seconds),
        *(f"{row.name} misses runs" for row in rows if row.missed_runs or row.skipped_runs),
        *(f"{row.name} has the error {row.error!r}" for row in rows if row.error),
    ]


class RecurringDisruptor:
    """Kills, terminates and suspends workers, and knows which runs that has disturbed."""

    def __init__(self, crew: Crew, chance: Random) -> None:
        self.disruptions: Counter[str] = Counter()
        self._crew = crew
        self._chance = chance
        self._act_at = time.monotonic()
        # By the id of a process.
        self._freezes: dict[int, list[tuple[datetime, datetime]]] = {}

    def act(self) -> None:
        """Execute one disruption, if some time has passed since the last one."""
        victims = self._crew.victims
        if victims and time.monotonic() >= self._act_at:
            victim = self._chance.choice(victims)
            self._chance.choice([self._kill, self._terminate, self._freeze])(victim)
            pause = self._chance.uniform(MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS)
            self._act_at = time.monotonic() + pause

    def has_disturbed(self, run: Run) -> bool:
        """Return whether the worker of a run was suspended between its instant and its start."""
        freezes = self._freezes.get(run.pid, [])
        return any(begin < run.started_at and run.instant < end for begin, end in freezes)

    def _kill(self, victim: Popen[bytes]) -> None:
        victim.kill()
        self.disruptions["SIGKILL"] += 1

    def _terminate(self, victim: Popen[bytes]) -> None:
        self._crew.terminate(victim)
        self.disruptions["SIGTERM"] += 1

    def _freeze(self, victim: Popen[bytes]) -> None:
        begin = clock.now()
        victim.send_signal(signal.SIGSTOP)
        if not _is_writable():
            victim.send_signal(signal.SIGCONT)
            return
        longest = MAX_FREEZE_SECONDS.get(connection.vendor, 3 * HEARTBEAT_SECONDS)
        seconds = self._chance.uniform(MIN_FREEZE_SECONDS, longest)
        self._crew.freeze(victim, seconds)
        until = clock.now() + timedelta(seconds=seconds + 2 * TICK_SECONDS)
        self._freezes.setdefault(victim.pid, []).append((begin, until))
        self.disruptions["SIGSTOP and SIGCONT"] += 1


def _is_writable() -> bool:
    """Return whether no suspended process holds SQLite's write lock, which blocks all others."""
    if connection.vendor != "sqlite":
        return True
    path = connection.settings_dict["NAME"]
    with closing(sqlite3.connect(path, isolation_level=None, timeout=PROBE_SECONDS)) as probe:
        try:
            probe.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
    return True
