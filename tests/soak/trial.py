"""One soak: jobs of every kind, disrupted workers, and the report."""

import os
import re
import time
from collections import Counter, defaultdict
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from django.db import DatabaseError, InterfaceError, connection

from django_future import ScheduledJob
from tests.chaos import ledger
from tests.chaos.address import server_of, through
from tests.chaos.cluster import cluster_at
from tests.chaos.crew import Crew
from tests.chaos.disruptor import Disruptor
from tests.chaos.proxy import proxy_to
from tests.chaos.trial import calm_down
from tests.settings import RUN, SCRATCH
from tests.soak.samples import Samples, brief

PROCESSES, THREADS = 4, 4
RESTARTS = 5
PAUSE_SECONDS = 8.0  # between two disruptions: most of the time, workers are undisturbed
TICK_SECONDS = 1.0
TICKS_PER_SAMPLE = 2
MAX_LATE_SECONDS = 600  # after the plan, all due jobs must end in this time
MAX_SHOWN = 20  # kinds of faults


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The parameters of a soak. A seed repeats the jobs."""

    jobs: int
    seconds: float
    seed: int


def run(plan: Plan) -> int:
    """Run a soak on a new database, print a report, and return an exit code."""
    name, log = connection.settings_dict["NAME"], SCRATCH / f"soak_{RUN}.log"
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        faults = _run(plan, log)
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)
    for kind in _kinds(faults)[:MAX_SHOWN]:
        print(f"FAULT, {len(kind)} of its kind: {kind[0]}")
    print(f"{len(faults)} faults; the workers' log is {log}" if faults else "no fault", flush=True)
    if not faults:
        log.unlink()
    return int(bool(faults))


def _kinds(faults: list[str]) -> list[list[str]]:
    """Group faults that differ only in numbers, the largest groups first."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for fault in faults:
        kinds[re.sub(r"\d+", "0", fault)].append(fault)
    return sorted(kinds.values(), key=len, reverse=True)


def _run(plan: Plan, log):
    url, samples = os.environ["DATABASE_URL"], Samples()
    ledger.schedule(plan.jobs, timedelta(seconds=plan.seconds), Random(f"jobs {plan.seed}"))
    with ExitStack() as stack:
        proxy = stack.enter_context(proxy_to(server_of(url)))
        environment = through(proxy.port, url)
        crew = stack.enter_context(Crew(PROCESSES, log, environment, threads=THREADS))
        now = time.monotonic()
        disruptor = Disruptor(
            crew,
            Random(f"disruptions {plan.seed}"),
            proxy=proxy,
            cluster=cluster_at(url),
            restarts=[now + plan.seconds * (n + 0.5) / RESTARTS for n in range(RESTARTS)],
        )
        _soak(plan, crew, disruptor, samples)
        proxy.spare()
        calm_down(crew)
        running = crew.dismiss()
        verdict = ledger.judge(plan.jobs)
    _print_report(disruptor.disruptions + proxy.cuts, crew.started, samples)
    faults = [*verdict.faults, *samples.faults()]
    return [*faults, *[f"{running} workers did not stop after SIGTERM"] * bool(running)]


def _soak(plan: Plan, crew: Crew, disruptor: Disruptor, samples: Samples) -> None:
    started_at = time.monotonic()
    act_at, ticks = started_at + PAUSE_SECONDS, 0
    while (now := time.monotonic()) < started_at + plan.seconds + MAX_LATE_SECONDS:
        is_over = now >= started_at + plan.seconds
        # The server may be restarting, and its first connections may be cut.
        with suppress(DatabaseError, InterfaceError):
            if is_over and not ledger.unfinished():
                return
            crew.tend()
            if not is_over and now >= act_at:
                act_at = now + PAUSE_SECONDS
                disruptor.act()
            if ticks % TICKS_PER_SAMPLE == 0:
                samples.take(crew.pids)
        ticks += 1
        time.sleep(TICK_SECONDS)


def _print_report(disruptions: Counter[str], processes: int, samples: Samples) -> None:
    ends: dict[str, Counter[str]] = defaultdict(Counter)
    rows = ScheduledJob.objects.values_list("callable_name", "status")
    for callable_name, status in rows.iterator():
        ends[callable_name.rpartition(".")[2]][status] += 1
    for name, counts in sorted(ends.items()):
        print(f"{name:28}{_counts(counts)}")
    print(f"disruptions: {_counts(disruptions)}; {processes} worker processes in all")
    for pid, sizes in samples.memory.items():
        print(f"memory of worker {pid}, MiB: {brief(sizes)}")
    print(f"sessions: {brief(samples.sessions)}")


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(counter.items()))
